package registry

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/storage/memory"
)

// The most that a repository may send.
const (
	maxRefs    = 8 << 20
	maxPack    = 64 << 20
	maxObjects = 50_000
	maxObject  = 8 << 20
	maxWhole   = 256 << 20 // all objects, unpacked
)

// capped reads at most n bytes; more is an error, so that nothing is cut off
// silently.
type capped struct {
	r io.Reader
	n int64
}

func (c *capped) Read(p []byte) (int, error) {
	if c.n <= 0 {
		return 0, errors.New("the repository sends more than is taken")
	}
	if int64(len(p)) > c.n {
		p = p[:c.n]
	}
	n, err := c.r.Read(p)
	c.n -= int64(n)
	return n, err
}

// fetch gets the pack of one commit, without its history where the server can.
func fetch(ctx context.Context, r remote, adv *packp.AdvRefs, tip plumbing.Hash) ([]byte, error) {
	req := packp.NewUploadPackRequestFromCapabilities(adv.Capabilities)
	req.Wants = []plumbing.Hash{tip}
	for _, c := range []capability.Capability{capability.OFSDelta, capability.NoProgress} {
		if adv.Capabilities.Supports(c) {
			if err := req.Capabilities.Set(c); err != nil {
				return nil, err
			}
		}
	}
	if adv.Capabilities.Supports(capability.Shallow) {
		req.Depth = packp.DepthCommits(1)
		if err := req.Capabilities.Set(capability.Shallow); err != nil {
			return nil, err
		}
	}
	banded := adv.Capabilities.Supports(capability.Sideband64k)
	if banded {
		if err := req.Capabilities.Set(capability.Sideband64k); err != nil {
			return nil, err
		}
	}
	var body bytes.Buffer
	if err := req.UploadRequest.Encode(&body); err != nil {
		return nil, err
	}
	if err := pktline.NewEncoder(&body).EncodeString("done\n"); err != nil {
		return nil, err
	}
	answer, err := r.ask(ctx, body.Bytes())
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Close() }()
	res := packp.NewUploadPackResponse(req)
	if err := res.Decode(io.NopCloser(&capped{answer, maxPack})); err != nil {
		return nil, err
	}
	var pack io.Reader = res
	if banded {
		pack = sideband.NewDemuxer(sideband.Sideband64k, res)
	}
	return io.ReadAll(pack)
}

// unpack reads a pack into memory, after a look at how large its objects become.
func unpack(pack []byte) (*memory.Storage, error) {
	if err := weigh(pack); err != nil {
		return nil, err
	}
	objects := memory.NewStorage()
	if err := packfile.UpdateObjectStorage(objects, bytes.NewReader(pack)); err != nil {
		return nil, fmt.Errorf("the pack cannot be read: %w", err)
	}
	return objects, nil
}

// weigh refuses a pack with too many or too large objects before any is kept. A
// delta counts as what it makes.
func weigh(pack []byte) error {
	s := packfile.NewScanner(bytes.NewReader(pack))
	_, n, err := s.Header()
	if err != nil {
		return fmt.Errorf("the pack cannot be read: %w", err)
	}
	if n > maxObjects {
		return fmt.Errorf("it has %d objects, more than %d; a repository for playbooks alone has fewer", n, maxObjects)
	}
	whole := int64(0)
	for range n {
		h, err := s.NextObjectHeader()
		if err != nil {
			return fmt.Errorf("the pack cannot be read: %w", err)
		}
		size := h.Length
		if size < 0 || size > maxObject {
			return fmt.Errorf("it has an object of %d bytes, more than %d", size, maxObject)
		}
		var delta bytes.Buffer
		into := io.Discard
		if h.Type.IsDelta() {
			into = &delta
		}
		if _, _, err := s.NextObject(into); err != nil {
			return fmt.Errorf("the pack cannot be read: %w", err)
		}
		if h.Type.IsDelta() {
			_, a := binary.Uvarint(delta.Bytes())
			made, b := binary.Uvarint(delta.Bytes()[max(a, 0):])
			if a <= 0 || b <= 0 || made > maxObject {
				return fmt.Errorf("it has an object of more than %d bytes", maxObject)
			}
			size += int64(made)
		}
		if whole += size; whole > maxWhole {
			return fmt.Errorf("its objects have more than %d bytes together", maxWhole)
		}
	}
	return nil
}
