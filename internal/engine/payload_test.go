package engine

import (
	"bytes"
	"strings"
	"testing"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/proto"
)

func payloadKey(t testing.TB, digit string) PayloadKey {
	t.Helper()
	k, err := ParsePayloadKey(strings.Repeat(digit, 64))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestPayloadKeys seals with the first key, opens with any of the ring, and lets
// through what was never sealed. Whatever is changed in between is an error.
func TestPayloadKeys(t *testing.T) {
	k1, k2 := payloadKey(t, "1"), payloadKey(t, "2")
	if k1.ID() == k2.ID() || len(k1.ID()) != 16 {
		t.Fatalf("ids %s and %s", k1.ID(), k2.ID())
	}
	plain, err := converter.GetDefaultDataConverter().ToPayload(map[string]string{"hostname": "fin-7"})
	if err != nil {
		t.Fatal(err)
	}
	old, err := keyring{k1}.Encode([]*commonpb.Payload{plain, plain})
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(old[0].Data, []byte("fin-7")) || bytes.Equal(old[0].Data, old[1].Data) || string(old[0].Metadata[keyID]) != k1.ID() {
		t.Errorf("sealed as %v", old)
	}
	got, err := keyring{k2, k1}.Decode([]*commonpb.Payload{old[0], plain})
	if err != nil || !proto.Equal(got[0], plain) || !proto.Equal(got[1], plain) {
		t.Errorf("opened %v, %v", got, err)
	}
	if _, err := (keyring{k2}).Decode(old); err == nil || !strings.Contains(err.Error(), k1.ID()) {
		t.Errorf("without the key: %v", err)
	}
	for name, change := range map[string]func(p *commonpb.Payload){
		"a bit":  func(p *commonpb.Payload) { p.Data[len(p.Data)-1] ^= 1 },
		"cut":    func(p *commonpb.Payload) { p.Data = p.Data[:5] },
		"key id": func(p *commonpb.Payload) { p.Metadata[keyID] = []byte(k2.ID()) },
	} {
		p := proto.CloneOf(old[0])
		change(p)
		if _, err := (keyring{k2, k1}).Decode([]*commonpb.Payload{p}); err == nil {
			t.Errorf("%s changed: opened all the same", name)
		}
	}
}

// TestSealedFailures: the text of a failure is sealed too, and comes back.
func TestSealedFailures(t *testing.T) {
	o := seal(client.Options{}, []PayloadKey{payloadKey(t, "1")})
	f := o.FailureConverter.ErrorToFailure(temporal.NewApplicationError("fin-7 does not answer", "vendor"))
	raw, err := proto.Marshal(f)
	if err != nil || bytes.Contains(raw, []byte("fin-7")) {
		t.Errorf("%v: %s", err, raw)
	}
	if back := o.FailureConverter.FailureToError(f); !strings.Contains(back.Error(), "fin-7") {
		t.Errorf("came back as %v", back)
	}
}

// TestParsePayloadKey never quotes what it refuses.
func TestParsePayloadKey(t *testing.T) {
	for _, text := range []string{"", "abcd", strings.Repeat("z", 64), strings.Repeat("1", 66)} {
		if _, err := ParsePayloadKey(text); err == nil || text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	k := payloadKey(f, "1")
	good, err := keyring{k}.Encode([]*commonpb.Payload{{Data: []byte("x")}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good[0].Data, k.ID())
	f.Add([]byte{}, "")
	f.Fuzz(func(t *testing.T, data []byte, id string) {
		_, err := keyring{k}.Decode([]*commonpb.Payload{{Data: data, Metadata: map[string][]byte{converter.MetadataEncoding: []byte(sealed), keyID: []byte(id)}}})
		if err == nil && !bytes.Equal(data, good[0].Data) {
			t.Errorf("%x was opened and never sealed", data)
		}
	})
}
