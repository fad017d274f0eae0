package okta

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
)

// assertionLife is how long an assertion is good; Okta allows an hour.
const assertionLife = 5 * time.Minute

// signer writes client assertions: JWTs signed RS256 with the application's key
// (RFC 7523).
type signer struct {
	id, kid, scope string
	key            *rsa.PrivateKey
}

// newSigner reads the key. Its errors do not quote it.
func newSigner(id, kid string, text secret.Value, scopes []string) (*signer, error) {
	block, _ := pem.Decode([]byte(text.Reveal()))
	if block == nil {
		return nil, spec.Errorf(spec.Invalid, "private_key is no PEM; it begins with -----BEGIN PRIVATE KEY-----")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		any, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		var ok bool
		if key, ok = any.(*rsa.PrivateKey); err != nil || !ok {
			return nil, spec.Errorf(spec.Invalid, "private_key is no RSA key in PKCS#8 or PKCS#1")
		}
	}
	return &signer{id: id, kid: kid, key: key, scope: strings.Join(scopes, " ")}, nil
}

// form is the request for a token; audience is the token endpoint.
func (s *signer) form(audience string) (url.Values, error) {
	jti := make([]byte, 16)
	if _, err := rand.Read(jti); err != nil {
		return nil, err
	}
	now := time.Now()
	header := map[string]any{"alg": "RS256", "typ": "JWT"}
	if s.kid != "" {
		header["kid"] = s.kid
	}
	claims := map[string]any{
		"iss": s.id, "sub": s.id, "aud": audience, "jti": hex.EncodeToString(jti),
		"iat": now.Unix(), "exp": now.Add(assertionLife).Unix(),
	}
	var parts []string
	for _, part := range []map[string]any{header, claims} {
		raw, err := json.Marshal(part)
		if err != nil {
			return nil, err
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(raw))
	}
	signed := strings.Join(parts, ".")
	sum := sha256.Sum256([]byte(signed))
	mark, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		return nil, err
	}
	return url.Values{
		"grant_type":            {"client_credentials"},
		"scope":                 {s.scope},
		"client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion":      {signed + "." + base64.RawURLEncoding.EncodeToString(mark)},
	}, nil
}
