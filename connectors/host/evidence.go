package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
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
	// New begins a content that comes in pieces.
	New(ctx context.Context) (Content, error)
	// Get fails with ErrNoEvidence where nothing is kept under the reference, and
	// where it is more than a call takes.
	Get(ctx context.Context, ref string) ([]byte, error)
}

// Content is one that comes in pieces. It is kept once Keep returned; Drop, which
// may follow, then does nothing, and before forgets it.
type Content interface {
	io.Writer
	Ref() string
	Keep() error
	Drop()
}

// ErrNoEvidence says that nothing is kept under a reference.
var ErrNoEvidence = errors.New("no such evidence is kept")

// EvidenceDir keeps evidence as files of mode 0600, named by their hash.
type EvidenceDir string

var _ Evidence = EvidenceDir("")

// Put writes the content and returns when it is on disk.
func (d EvidenceDir) Put(ctx context.Context, content []byte) (string, error) {
	ref := kind.ArtifactOf(content)
	if d.again(ref) {
		return ref, nil
	}
	c, err := d.New(ctx)
	if err != nil {
		return "", err
	}
	defer c.Drop()
	if _, err := c.Write(content); err != nil {
		return "", err
	}
	return ref, c.Keep()
}

// again reports whether a content is kept already. What is put in again is as new:
// retention goes by the file's time.
func (d EvidenceDir) again(ref string) bool {
	now := time.Now()
	return os.Chtimes(d.path(ref), now, now) == nil
}

// New begins a file beside the others, which gets its name once it is whole.
func (d EvidenceDir) New(context.Context) (Content, error) {
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return nil, fmt.Errorf("keep evidence: %w", err)
	}
	f, err := os.CreateTemp(string(d), "new-*")
	if err != nil {
		return nil, fmt.Errorf("keep evidence: %w", err)
	}
	return &newFile{dir: d, file: f, sum: sha256.New()}, nil
}

// newFile is a content on its way into a directory.
type newFile struct {
	dir  EvidenceDir
	file *os.File
	sum  hash.Hash
	done bool
}

// Write implements io.Writer.
func (n *newFile) Write(p []byte) (int, error) {
	_, _ = n.sum.Write(p) // it never fails
	if _, err := n.file.Write(p); err != nil {
		return 0, fmt.Errorf("keep evidence: %w", err)
	}
	return len(p), nil
}

// Ref implements Content.
func (n *newFile) Ref() string { return kind.ArtifactOfSum(n.sum.Sum(nil)) }

// Keep returns when the content is on disk under its name.
func (n *newFile) Keep() error {
	if n.done || n.dir.again(n.Ref()) {
		return nil // Drop forgets the second copy
	}
	path := n.dir.path(n.Ref())
	err := os.MkdirAll(filepath.Dir(path), 0o700)
	if err == nil {
		err = n.file.Sync()
	}
	if err == nil {
		err = os.Rename(n.file.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("keep evidence: %w", err)
	}
	n.done = true
	return nil
}

// Drop implements Content.
func (n *newFile) Drop() {
	_ = n.file.Close()
	if !n.done {
		_ = os.Remove(n.file.Name())
	}
}

// Get reads a content and checks that it is still the one that was put in.
func (d EvidenceDir) Get(_ context.Context, ref string) ([]byte, error) {
	if _, err := kind.Parse(kind.Of(kind.Artifact), ref); err != nil {
		return nil, err
	}
	if st, err := os.Stat(d.path(ref)); err == nil && st.Size() > proto.MaxArtifacts {
		return nil, fmt.Errorf("%s has %d bytes, more than the %d that a call takes: %w", ref, st.Size(), proto.MaxArtifacts, ErrNoEvidence)
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

func (m *memory) New(context.Context) (Content, error) { return &newBytes{in: m}, nil }

// newBytes is a content on its way into memory.
type newBytes struct {
	bytes.Buffer
	in *memory
}

func (n *newBytes) Ref() string { return kind.ArtifactOf(n.Bytes()) }

func (n *newBytes) Keep() error {
	_, err := n.in.Put(context.Background(), n.Bytes())
	return err
}

func (n *newBytes) Drop() {}

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
	whole := slices.DeleteFunc(slices.Clone(refs), func(ref string) bool { return c.given[ref] != nil })
	err := proto.CheckArtifacts(whole, got.GetArtifacts())
	for _, ref := range refs {
		if err != nil {
			break
		}
		if content := c.given[ref]; content != nil {
			err = content.Keep()
		} else {
			_, err = c.host.opts.Evidence.Put(ctx, got.GetArtifacts()[ref])
		}
	}
	if err != nil {
		return c.unkept(err)
	}
	return nil
}

func (c *pending) unkept(err error) *spec.Error {
	if c.acting() {
		return spec.Errorf(spec.Uncertain, "%s happened and its evidence was not kept: %v", c.req.Action, err)
	}
	return spec.Errorf(spec.Internal, "%s: its evidence was not kept: %v", c.req.Action, err)
}
