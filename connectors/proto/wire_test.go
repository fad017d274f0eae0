package proto_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/spec"
)

func TestPlain(t *testing.T) {
	in := map[string]any{"n": int64(1) << 60, "f": 2.5, "whole": 3.0, "b": true, "s": "<é>", "l": []any{int64(1), nil, map[string]any{}}}
	raw, err := proto.EncodePlain(in)
	if err != nil {
		t.Fatal(err)
	}
	out, err := proto.DecodePlain(raw)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(in, out); diff != "" {
		t.Error(diff)
	}
	if raw, err := proto.EncodePlain(nil); raw != nil || err != nil {
		t.Error("nil is no bytes")
	}
	for _, bad := range []string{"[]", "{} {}", "{", `{"n":1e999}`, "null x"} {
		if _, err := proto.DecodePlain([]byte(bad)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
	if _, err := proto.EncodePlain(map[string]any{"s": strings.Repeat("x", proto.MaxPrior)}); err == nil {
		t.Error("a large prior was written")
	}
	if _, err := proto.EncodePlain(map[string]any{"s": struct{}{}}); err == nil {
		t.Error("a struct was written")
	}
}

func TestErrorRoundTrip(t *testing.T) {
	in := &spec.Error{Kind: spec.RateLimited, Message: "m", RetryAfter: 3 * time.Second, VendorCode: "429", VendorRequestID: "r"}
	if diff := cmp.Diff(in, proto.FromError(in).Spec()); diff != "" {
		t.Error(diff)
	}
	if proto.FromError(nil).Spec() != nil {
		t.Error("nil does not stay nil")
	}
}
