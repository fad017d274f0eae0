package playtest

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"testing"

	"github.com/quell-soar/quell/server/api"
)

// offline makes the preview of an example from the tests beside it.
func offline(t *testing.T, o Offline) *api.Plan {
	t.Helper()
	got, list, err := o.Preview(t.Context())
	if err != nil || list.HasErrors() {
		t.Fatalf("%v %v", err, list)
	}
	if testing.Verbose() {
		raw, _ := json.MarshalIndent(got, "", " ")
		t.Log(string(raw))
	}
	return got
}

func TestOfflinePreview(t *testing.T) {
	got := offline(t, Offline{File: "../../examples/contain-infected-host.yaml"})
	i := slices.IndexFunc(got.Effects, func(e api.PlanEffect) bool { return e.Action == "edr.isolate_host" })
	if i < 0 || !got.Effects[i].Base || got.Effects[i].Hold == nil || got.Effects[i].Inverse == nil || got.Effects[i].Inverse.Reversal != "exact" {
		t.Fatalf("%+v", got.Effects)
	}
	_ = filepath.Join
}
