package proto

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	plugin "github.com/hashicorp/go-plugin"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// The versions of the contract.
const (
	// ProtocolVersion is negotiated when a process starts; sides without a
	// common one refuse each other.
	ProtocolVersion = 1
	// APIVersion is told by Describe. It names what the messages mean.
	APIVersion = "v1"
	// PluginName is the name under which go-plugin serves the service.
	PluginName = "connector"
)

// Limits of one message. Both sides hold them, so a message that one side may
// send is one that the other accepts.
const (
	// MaxMessage is the largest gRPC message in bytes.
	MaxMessage = 40 << 20
	// MaxOutput is the largest JSON of a reply's output in bytes.
	MaxOutput = 4 << 20
	// MaxPrior is the largest JSON of a prior state in bytes.
	MaxPrior = 256 << 10
	// MaxArtifacts is the most that the contents of one call's artifacts have in
	// bytes, together.
	MaxArtifacts = 32 << 20
	// MaxPiece is the largest piece of a content in bytes, and MaxStreamed the most
	// that the contents of one call have that come in pieces, together.
	MaxPiece    = 256 << 10
	MaxStreamed = 512 << 20
)

// Handshake is what host and connector agree on before they speak. The cookie
// tells a person who starts a connector by hand that this is not the way; it
// protects nothing.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{
		ProtocolVersion:  ProtocolVersion,
		MagicCookieKey:   "QUELL_CONNECTOR",
		MagicCookieValue: "started-by-quell",
	}
}

// CheckArtifacts reports the first of the references that has no content, the
// first content that its reference does not fit, and too much of it.
func CheckArtifacts(refs []string, contents map[string][]byte) error {
	for _, ref := range refs {
		if _, ok := contents[ref]; !ok {
			return fmt.Errorf("the artifact %s has no content", ref)
		}
	}
	size := 0
	for ref, content := range contents {
		if size += len(content); size > MaxArtifacts {
			return fmt.Errorf("the artifacts have more than %d bytes together", MaxArtifacts)
		}
		if kind.ArtifactOf(content) != ref {
			return fmt.Errorf("an artifact's content does not fit its reference")
		}
	}
	return nil
}

// EncodePlain writes a prior state as canonical JSON; nil gives no bytes. A
// prior holds plain values: text, bool, int64, float64, lists and maps of them.
func EncodePlain(m map[string]any) ([]byte, error) {
	if m == nil {
		return nil, nil
	}
	raw, err := kind.Canonical(m)
	if err != nil {
		return nil, fmt.Errorf("prior state: %w", err)
	}
	if len(raw) > MaxPrior {
		return nil, fmt.Errorf("prior state: %d bytes, more than %d; keep only what the inverse needs", len(raw), MaxPrior)
	}
	return raw, nil
}

// DecodePlain reads what EncodePlain wrote. Whole numbers come back as int64,
// others as float64; values that were neither (a time, a handle) come back as
// the text or map that they became.
func DecodePlain(raw []byte) (map[string]any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	if len(raw) > MaxPrior {
		return nil, fmt.Errorf("prior state: %d bytes, more than %d", len(raw), MaxPrior)
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		return nil, fmt.Errorf("prior state: not a JSON object: %w", err)
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("prior state: more than one JSON value")
	}
	out, err := plain(m)
	if err != nil {
		return nil, fmt.Errorf("prior state: %w", err)
	}
	p, _ := out.(map[string]any)
	return p, nil
}

func plain(v any) (any, error) {
	switch x := v.(type) {
	case json.Number:
		if n, err := x.Int64(); err == nil {
			return n, nil
		}
		f, err := x.Float64()
		if err != nil {
			return nil, fmt.Errorf("a number is out of range: %w", err)
		}
		return f, nil
	case []any:
		for i, e := range x {
			c, err := plain(e)
			if err != nil {
				return nil, err
			}
			x[i] = c
		}
	case map[string]any:
		for k, e := range x {
			c, err := plain(e)
			if err != nil {
				return nil, err
			}
			x[k] = c
		}
	}
	return v, nil
}

// FromError puts an error on the wire; nil stays nil.
func FromError(e *spec.Error) *Error {
	if e == nil {
		return nil
	}
	return &Error{
		Kind: string(e.Kind), Message: e.Message, RetryAfterNanos: int64(e.RetryAfter),
		VendorCode: e.VendorCode, VendorRequestId: e.VendorRequestID,
	}
}

// Spec takes an error off the wire as it came; nil stays nil. The caller checks
// its kind and texts.
func (x *Error) Spec() *spec.Error {
	if x == nil {
		return nil
	}
	return &spec.Error{
		Kind: spec.ErrorKind(x.GetKind()), Message: x.GetMessage(), RetryAfter: time.Duration(x.GetRetryAfterNanos()),
		VendorCode: x.GetVendorCode(), VendorRequestID: x.GetVendorRequestId(),
	}
}
