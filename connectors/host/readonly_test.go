package host_test

import (
	"testing"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec"
)

// TestReadOnly: through a host that only reads no effect leaves, with a permit that
// the host behind it would take.
func TestReadOnly(t *testing.T) {
	url, count, _ := vendor(t)
	h := run(t, func(o *host.Options) { o.Instances[0].Settings = map[string]string{"url": url} })
	ro := host.NewReadOnly(h)
	good, permit := effect(map[string]any{"text": "x"})
	calls := map[string]func() error{
		"call":     func() error { _, err := ro.Call(t.Context(), "m", good, permit); return err },
		"try call": func() error { _, err := ro.TryCall(t.Context(), "m", good, permit); return err },
		"enter":    func() error { _, err := ro.Enter(t.Context(), "m"); return err },
		"inverse": func() error {
			back := permit
			back.Inverse = true
			_, err := ro.Call(t.Context(), "m", good, back)
			return err
		},
	}
	for name, f := range calls {
		t.Log(name)
		wantKind(t, f(), spec.Permission)
	}
	odd := good
	odd.Mode = "shout"
	_, err := ro.Call(t.Context(), "m", odd, permit)
	wantKind(t, err, spec.Permission)
	_, err = ro.Call(t.Context(), "m", read("test.nothing", nil), host.Permit{})
	wantKind(t, err, spec.Invalid)
	if r, err := ro.Call(t.Context(), "m", read("test.find", nil), host.Permit{}); err != nil || r.Output["device"] == nil {
		t.Errorf("a read: %+v, %v", r, err)
	}
	if n := count.Load(); n != 0 {
		t.Fatalf("%d effects arrived", n)
	}
	if _, err := h.Call(t.Context(), "m", good, permit); err != nil || count.Load() != 1 {
		t.Errorf("the same through the host behind it: %v, %d arrived", err, count.Load())
	}
}
