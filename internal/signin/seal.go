package signin

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// attemptLife is how long a person may take at the provider.
const attemptLife = 10 * time.Minute

// attempt is what must be known of a sign-in when the browser comes back.
type attempt struct {
	State    string `json:"s"`
	Nonce    string `json:"n"`
	Verifier string `json:"v"`
	Expires  int64  `json:"e"`
	Again    bool   `json:"a,omitempty"`
	Began    int64  `json:"b,omitempty"`
}

// sealer writes attempts so that a browser can keep and neither read nor change
// them: AES-256-GCM under a key that this process made.
type sealer struct{ gcm cipher.AEAD }

func newSealer() (*sealer, error) {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	gcm, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, fmt.Errorf("sign-in: %w", err)
	}
	return &sealer{gcm: gcm}, nil
}

func (s *sealer) shut(a attempt) (string, error) {
	raw, err := json.Marshal(a)
	if err != nil {
		return "", fmt.Errorf("sign-in: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(s.gcm.Seal(nil, nil, raw, nil)), nil //nolint:gosec // it draws a nonce itself for each sealing and takes none
}

var errTicket = errors.New("the ticket is not one of this process")

func (s *sealer) open(ticket string) (attempt, error) {
	var a attempt
	raw, err := base64.RawURLEncoding.DecodeString(ticket)
	if err != nil || len(ticket) > 2048 {
		return a, errTicket
	}
	plain, err := s.gcm.Open(nil, nil, raw, nil)
	if err != nil || json.Unmarshal(plain, &a) != nil {
		return a, errTicket
	}
	return a, nil
}
