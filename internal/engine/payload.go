package engine

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"
)

// sealed is the encoding of a sealed payload: AES-256-GCM over the marshalled
// payload, the nonce before it. keyID names the key in the payload's metadata.
const (
	sealed = "binary/quell-aes-256-gcm"
	keyID  = "quell-key-id"
)

// PayloadKey seals what Temporal stores.
type PayloadKey struct {
	id   string
	aead cipher.AEAD
}

// ID is the key's name in a payload's metadata: the first 8 bytes, in hex, of a
// digest from which the key does not follow.
func (k PayloadKey) ID() string { return k.id }

// ParsePayloadKey reads a key of 32 bytes from 64 hexadecimal digits, as `openssl
// rand -hex 32` prints. Its error does not quote the text.
func ParsePayloadKey(text string) (PayloadKey, error) {
	raw, err := hex.DecodeString(text)
	if err != nil || len(raw) != 32 {
		return PayloadKey{}, errors.New("a payload key has 64 hexadecimal digits; make one with: openssl rand -hex 32")
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return PayloadKey{}, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return PayloadKey{}, err
	}
	sum := sha256.Sum256(append([]byte("quell payload key 1\n"), raw...))
	return PayloadKey{id: hex.EncodeToString(sum[:8]), aead: aead}, nil
}

// keyring is a converter.PayloadCodec: it seals with the first key and opens with
// any. A payload that was never sealed passes, so that histories from before the
// first key replay.
type keyring []PayloadKey

var _ converter.PayloadCodec = keyring(nil)

// Encode implements converter.PayloadCodec.
func (r keyring) Encode(list []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(list))
	key := r[0]
	for i, p := range list {
		plain, err := proto.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("engine: seal a payload: %w", err)
		}
		nonce := make([]byte, key.aead.NonceSize(), key.aead.NonceSize()+len(plain)+key.aead.Overhead())
		if _, err := rand.Read(nonce); err != nil {
			return nil, fmt.Errorf("engine: seal a payload: %w", err)
		}
		out[i] = &commonpb.Payload{
			Metadata: map[string][]byte{converter.MetadataEncoding: []byte(sealed), keyID: []byte(key.id)},
			Data:     key.aead.Seal(nonce, nonce, plain, []byte(sealed+" "+key.id)),
		}
	}
	return out, nil
}

// Decode implements converter.PayloadCodec.
func (r keyring) Decode(list []*commonpb.Payload) ([]*commonpb.Payload, error) {
	out := make([]*commonpb.Payload, len(list))
	for i, p := range list {
		if string(p.GetMetadata()[converter.MetadataEncoding]) != sealed {
			out[i] = p
			continue
		}
		plain, err := r.open(p)
		if err != nil {
			return nil, err
		}
		out[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(plain, out[i]); err != nil {
			return nil, fmt.Errorf("engine: a sealed payload holds no payload: %w", err)
		}
	}
	return out, nil
}

func (r keyring) open(p *commonpb.Payload) ([]byte, error) {
	id := string(p.GetMetadata()[keyID])
	for _, k := range r {
		if k.id != id {
			continue
		}
		n := k.aead.NonceSize()
		if len(p.GetData()) < n {
			return nil, errors.New("engine: a sealed payload was cut off")
		}
		plain, err := k.aead.Open(nil, p.GetData()[:n], p.GetData()[n:], []byte(sealed+" "+id))
		if err != nil {
			return nil, fmt.Errorf("engine: a payload sealed with key %s was altered: %w", id, err)
		}
		return plain, nil
	}
	return nil, fmt.Errorf("engine: a payload is sealed with key %.32q, which keys.payloads does not name; add that key after the first", id)
}

// seal makes a client seal and open payloads, and the texts of failures with
// them. Without a key it does nothing.
func seal(o client.Options, keys []PayloadKey) client.Options {
	if len(keys) == 0 {
		return o
	}
	o.DataConverter = converter.NewCodecDataConverter(converter.GetDefaultDataConverter(), keyring(keys))
	o.FailureConverter = temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
		DataConverter: o.DataConverter, EncodeCommonAttributes: true,
	})
	return o
}
