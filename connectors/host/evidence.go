package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Evidence keeps contents that are too large for a history, such as a whole
// message. A playbook passes their references; the host puts in what a connector
// gives out and hands it to the connector that takes it. Contents are known by
// their hash, so putting one in twice is putting it in once.
type Evidence interface {
	Put(ctx context.Context, content []byte) (ref string, err error)
	// Get fails with ErrNoEvidence where nothing is kept under the reference.
	Get(ctx context.Context, ref string) ([]byte, error)
}

// ErrNoEvidence says that nothing is kept under a reference.
var ErrNoEvidence = errors.New("no such evidence is kept")

// EvidenceDir keeps evidence as files of mode 0600, named by their hash.
type EvidenceDir string

var _ Evidence = EvidenceDir("")

// Put writes the content and returns when it is on disk.
func (d EvidenceDir) Put(_ context.Context, content []byte) (string, error) {
	ref := kind.ArtifactOf(content)
	path := d.path(ref)
	// What was put in again is as new: retention goes by the file's time.
	if now := time.Now(); os.Chtimes(path, now, now) == nil {
		return ref, nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return "", fmt.Errorf("keep evidence: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "new-*")
	if err != nil {
		return "", fmt.Errorf("keep evidence: %w", err)
	}
	_, err = f.Write(content)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("keep evidence: %w", err), os.Remove(f.Name()))
	}
	return ref, nil
}

// Get reads a content and checks that it is still the one that was put in.
func (d EvidenceDir) Get(_ context.Context, ref string) ([]byte, error) {
	if _, err := kind.Parse(kind.Of(kind.Artifact), ref); err != nil {
		return nil, err
	}
	content, err := os.ReadFile(d.path(ref))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", ref, ErrNoEvidence)
	}
	if err == nil && kind.ArtifactOf(content) != ref {
		return nil, fmt.Errorf("%s was changed on disk: %w", ref, ErrNoEvidence)
	}
	return content, err
}

func (d EvidenceDir) path(ref string) string {
	hash := strings.TrimPrefix(ref, "sha256:")
	return filepath.Join(string(d), hash[:2], hash)
}

// memory keeps evidence for the life of a host that was given no store.
type memory struct {
	mu   sync.Mutex
	kept map[string][]byte
}

func (m *memory) Put(_ context.Context, content []byte) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ref := kind.ArtifactOf(content)
	m.kept[ref] = content
	return ref, nil
}

func (m *memory) Get(_ context.Context, ref string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	content, ok := m.kept[ref]
	if !ok {
		return nil, fmt.Errorf("%s: %w", ref, ErrNoEvidence)
	}
	return content, nil
}

// attach gets the contents of artifact inputs. A read-back needs none.
func (c *pending) attach(ctx context.Context) error {
	refs := kind.Artifacts(c.action.InputType(), c.req.Inputs)
	if len(refs) == 0 || c.req.Mode == spec.Back {
		return nil
	}
	contents := make(map[string][]byte, len(refs))
	for _, ref := range refs {
		content, err := c.host.opts.Evidence.Get(ctx, ref)
		if errors.Is(err, ErrNoEvidence) {
			return spec.Errorf(spec.NotFound, "%s: %v; an artifact must have been given out by a step or kept by the alert's source", c.req.Action, err)
		}
		if err != nil {
			return spec.Errorf(spec.Transient, "%s: its artifact could not be read: %v", c.req.Action, err)
		}
		contents[ref] = content
	}
	if err := proto.CheckArtifacts(refs, contents); err != nil {
		return spec.Errorf(spec.Invalid, "%s: %v", c.req.Action, err)
	}
	c.wire.Artifacts = contents
	return nil
}

// keep puts the contents of artifact outputs into the evidence store.
func (c *pending) keep(ctx context.Context, r spec.Reply, got *proto.CallReply) *spec.Error {
	refs := kind.Artifacts(c.action.OutputType(), r.Output)
	if len(refs) == 0 || c.req.Mode == spec.Back {
		return nil
	}
	err := proto.CheckArtifacts(refs, got.GetArtifacts())
	for _, ref := range refs {
		if err == nil {
			_, err = c.host.opts.Evidence.Put(ctx, got.GetArtifacts()[ref])
		}
	}
	switch {
	case err == nil:
		return nil
	case c.acting():
		return spec.Errorf(spec.Uncertain, "%s happened and its evidence was not kept: %v", c.req.Action, err)
	}
	return spec.Errorf(spec.Internal, "%s: its evidence was not kept: %v", c.req.Action, err)
}
