package host_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/quell-soar/quell/connectors/host"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

func TestEvidenceDir(t *testing.T) {
	root := filepath.Join(t.TempDir(), "evidence")
	d := host.EvidenceDir(root)
	content := []byte("From: eve@evil.example\r\n\r\nhello")
	for range 2 {
		ref, err := d.Put(t.Context(), content)
		if err != nil || ref != kind.ArtifactOf(content) {
			t.Fatalf("put gave %s, %v", ref, err)
		}
	}
	ref := kind.ArtifactOf(content)
	if got, err := d.Get(t.Context(), ref); err != nil || string(got) != string(content) {
		t.Errorf("got %q, %v", got, err)
	}
	path := filepath.Join(root, ref[7:9], ref[7:])
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", st, err)
	}
	if _, err := d.Get(t.Context(), kind.ArtifactOf(nil)); !errors.Is(err, host.ErrNoEvidence) {
		t.Errorf("what was never kept: %v", err)
	}
	if _, err := d.Get(t.Context(), "sha256:"+strings.Repeat("../", 21)+"x"); err == nil || errors.Is(err, host.ErrNoEvidence) {
		t.Errorf("a path as reference: %v", err)
	}
	if err := os.WriteFile(path, []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Get(t.Context(), ref); !errors.Is(err, host.ErrNoEvidence) {
		t.Errorf("a content that was changed on disk: %v", err)
	}
}
