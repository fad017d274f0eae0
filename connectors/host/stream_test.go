package host_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/spec"
)

// files lists the files of an evidence directory by their names.
func files(t *testing.T, dir string) (names []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			names = append(names, d.Name())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// TestStreams takes 100 MiB from a connector that never holds them, and keeps the
// content that the reply names, whole and once.
func TestStreams(t *testing.T) {
	const size = 100 << 20
	dir := t.TempDir()
	h := run(t, func(o *host.Options) { o.Evidence = host.EvidenceDir(dir) })
	for range 2 {
		r, err := h.Call(t.Context(), "m", read("test.dump", map[string]any{"text": strconv.Itoa(size)}), host.Permit{})
		if err != nil {
			t.Fatal(err)
		}
		ref, _ := r.Output["content"].(string)
		hash := strings.TrimPrefix(ref, "sha256:")
		if got := files(t, dir); len(got) != 1 || got[0] != hash {
			t.Fatalf("kept %v, named %s", got, ref)
		}
		if st, err := os.Stat(filepath.Join(dir, hash[:2], hash)); err != nil || st.Size() != size || st.Mode().Perm() != 0o600 {
			t.Fatalf("%v, %v", st, err)
		}
		most, _ := r.Output["most"].(string)
		if n, err := strconv.Atoi(most); err != nil || n == 0 || n > size/2 {
			t.Errorf("the connector took %s bytes of memory, %v", most, err)
		}
		// No call takes as much back in.
		if _, err := host.EvidenceDir(dir).Get(t.Context(), ref); !errors.Is(err, host.ErrNoEvidence) {
			t.Errorf("it was read whole: %v", err)
		}
	}
}

// TestStreamsLess: a content that broke off is not kept, nor is one for which there
// is no space.
func TestStreamsLess(t *testing.T) {
	dir := t.TempDir()
	var full error
	h := run(t, func(o *host.Options) {
		o.Evidence, o.Space = host.EvidenceDir(dir), func() error { return full }
	})
	_, err := h.Call(t.Context(), "m", read("test.dump", map[string]any{"text": "3000000 broken"}), host.Permit{})
	if e := fault(t, err, spec.Transient); !strings.Contains(e.Message, "broke off") {
		t.Error(e)
	}
	full = errors.New("the disk is nearly full")
	_, err = h.Call(t.Context(), "m", read("test.dump", map[string]any{"text": "3000000"}), host.Permit{})
	if e := fault(t, err, spec.Internal); !strings.Contains(e.Message, "nearly full") {
		t.Error(e)
	}
	full = nil
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("kept %v", got)
	}
	if r, err := h.Call(t.Context(), "m", read("test.dump", map[string]any{"text": "0"}), host.Permit{}); err != nil || len(files(t, dir)) != 1 {
		t.Errorf("a content of no bytes: %v, %v", r, err)
	}
}

// TestStreamsOfARogue: whatever a connector sends, nothing is kept that the reply
// does not name or whose content does not fit.
func TestStreamsOfARogue(t *testing.T) {
	dir := t.TempDir()
	h := run(t, func(o *host.Options) {
		rogue("raw")(o)
		o.Evidence = host.EvidenceDir(dir)
	})
	for how, want := range map[string]string{
		"wrong": "does not fit", "piece": "more than " + strconv.Itoa(proto.MaxPiece), "many": "more than 64", "silent": "no reply",
		"unfinished": "has no content", "unnamed": "has no content", "nothing": "has no content",
	} {
		_, err := h.Call(t.Context(), "m", read("test.dump", map[string]any{"text": how}), host.Permit{})
		if e := fault(t, err, spec.Internal); !strings.Contains(e.Message, want) {
			t.Errorf("%s: %v", how, e)
		}
	}
	if got := files(t, dir); len(got) != 0 {
		t.Errorf("kept %v", got)
	}
	if _, err := h.Call(t.Context(), "m", read("test.dump", map[string]any{"text": "twice"}), host.Permit{}); err != nil || len(files(t, dir)) != 1 {
		t.Errorf("the same content twice: %v, kept %v", err, files(t, dir))
	}
	r := read("test.dump", map[string]any{"text": "endless"})
	r.Deadline = time.Now().Add(30 * time.Second)
	_, err := h.Call(t.Context(), "m", r, host.Permit{})
	if e := fault(t, err, spec.Internal); !strings.Contains(e.Message, strconv.Itoa(proto.MaxStreamed)) {
		t.Error(e)
	}
	if got := files(t, dir); len(got) != 1 {
		t.Errorf("kept %v", got)
	}
}
