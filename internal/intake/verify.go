package intake

import (
	"crypto/hmac"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/server/api"
)

// Tolerance is how far a delivery's timestamp may be from our clock.
const Tolerance = 5 * time.Minute

// maxSignatures bounds how many signatures of one header are tried.
const maxSignatures = 8

// ErrSignature says that a delivery does not prove where it comes from. Its
// text never says which secret nearly fitted.
var ErrSignature = errors.New("the delivery's signature does not hold")

// Delivery is what the signature of an alert covers, with the signature.
type Delivery struct {
	ID        string
	Timestamp string
	Signature string
	Body      []byte
}

// headersOK checks everything about a delivery that needs no body, so that an
// unsigned request is refused before its body is read.
func (d Delivery) headersOK(now time.Time) error {
	if d.ID == "" || d.Timestamp == "" || d.Signature == "" {
		return fmt.Errorf("%w: %s, %s and %s are needed", ErrSignature, api.HeaderWebhookID, api.HeaderWebhookTimestamp, api.HeaderWebhookSignature)
	}
	// A dot in the id could shift the borders of "id.timestamp.body".
	if len(d.ID) > maxID || strings.ContainsFunc(d.ID, func(r rune) bool { return r <= ' ' || r > '~' || r == '.' }) {
		return fmt.Errorf("%w: the id is not 1 to %d printable characters without dot or space", ErrSignature, maxID)
	}
	n, err := strconv.ParseInt(d.Timestamp, 10, 64)
	if err != nil || strconv.FormatInt(n, 10) != d.Timestamp {
		return fmt.Errorf("%w: the timestamp is not a number of seconds", ErrSignature)
	}
	if age := now.Sub(time.Unix(n, 0)); age > Tolerance || age < -Tolerance {
		return fmt.Errorf("%w: the timestamp is more than %s from this clock; sign at the time of sending, check both clocks", ErrSignature, Tolerance)
	}
	return nil
}

// verify checks the signature under any of keys: two while one is rotated.
func (d Delivery) verify(now time.Time, keys [][]byte) error {
	if err := d.headersOK(now); err != nil {
		return err
	}
	good := false
	for i, part := range strings.Fields(d.Signature) {
		text, ok := strings.CutPrefix(part, "v1,")
		if !ok || i >= maxSignatures {
			continue
		}
		mac, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			continue
		}
		for _, key := range keys {
			if len(key) > 0 && hmac.Equal(mac, api.AlertMAC(key, d.ID, d.Timestamp, d.Body)) {
				good = true
			}
		}
	}
	if !good {
		return fmt.Errorf("%w: no v1 signature over id.timestamp.body fits a key of this source", ErrSignature)
	}
	return nil
}
