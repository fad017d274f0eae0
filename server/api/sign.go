package api

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"time"
)

// The headers of a signed alert, as Standard Webhooks names them.
const (
	HeaderWebhookID        = "Webhook-Id"
	HeaderWebhookTimestamp = "Webhook-Timestamp"
	HeaderWebhookSignature = "Webhook-Signature"
)

// SignAlert signs a delivery: HMAC-SHA256 over "id.timestamp.body", written as
// "v1,BASE64".
func SignAlert(secret []byte, id string, at time.Time, body []byte) string {
	return "v1," + base64.StdEncoding.EncodeToString(AlertMAC(secret, id, strconv.FormatInt(at.Unix(), 10), body))
}

// AlertMAC is the code under a signature. timestamp is the header's own text.
func AlertMAC(secret []byte, id, timestamp string, body []byte) []byte {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte(id + "." + timestamp + "."))
	m.Write(body)
	return m.Sum(nil)
}
