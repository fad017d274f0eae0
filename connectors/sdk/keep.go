package sdk

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Keep puts a content into the evidence store while it is read, and returns its
// reference for an output of kind artifact. It is for what is too large to hold: a
// disk image, a memory dump, an export of logs. At most one piece of it is in memory
// at a time. All contents of one call have at most proto.MaxStreamed bytes together.
//
// It may be called within Session.Call, with the context of the call, before Call
// returns; several contents are given out one after the other. An error of the
// reader comes back as it is; nothing of that content is kept, nor of one that the
// reply does not name. A host of an earlier release takes at most
// proto.MaxArtifacts, held in memory.
func Keep(ctx context.Context, content io.Reader) (ref string, err error) {
	k, ok := ctx.Value(keeperKey{}).(*keeper)
	if !ok {
		return "", errors.New("evidence is kept within a call only, with the call's context")
	}
	return k.keep(ctx, content)
}

type keeperKey struct{}

// outlet is where a content goes. The end of one that broke off is empty.
type outlet interface {
	piece(p []byte) error
	end(ref string) error
}

// keeper gives out the contents of one call.
type keeper struct {
	out  outlet
	most int64

	mu   sync.Mutex
	kept map[string]bool
	size int64
	over bool
}

func newKeeper(out outlet, most int64) *keeper {
	return &keeper{out: out, most: most, kept: map[string]bool{}}
}

func (k *keeper) within(ctx context.Context) context.Context {
	return context.WithValue(ctx, keeperKey{}, k)
}

func (k *keeper) keep(ctx context.Context, content io.Reader) (ref string, err error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.over {
		return "", errors.New("the call has ended; evidence of it cannot be kept any more")
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, k.out.end(""))
		}
	}()
	sum := sha256.New()
	for last := false; !last; {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		p := make([]byte, proto.MaxPiece) // a new one each time: gRPC may hold on to it
		n, err := io.ReadFull(content, p)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			last = true
		case err != nil:
			return "", err
		}
		if k.size += int64(n); k.size > k.most {
			return "", fmt.Errorf("the contents of the call have more than %d bytes together", k.most)
		}
		if n == 0 {
			continue
		}
		_, _ = sum.Write(p[:n]) // it never fails
		if err := k.out.piece(p[:n]); err != nil {
			return "", err
		}
	}
	ref = kind.ArtifactOfSum(sum.Sum(nil))
	if err := k.out.end(ref); err != nil {
		return "", err
	}
	k.kept[ref] = true
	return ref, nil
}

// close ends the keeping and gives the references of what was kept.
func (k *keeper) close() map[string]bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.over = true
	return k.kept
}

// held is the outlet for a host that takes contents with the reply.
type held struct {
	now      []byte
	contents map[string][]byte
}

func (h *held) piece(p []byte) error {
	h.now = append(h.now, p...)
	return nil
}

func (h *held) end(ref string) error {
	if ref != "" {
		h.contents[ref] = h.now
	}
	h.now = nil
	return nil
}

// sent is the outlet for a host that takes pieces.
type sent struct {
	send func(*proto.CallPart) error
}

func (s sent) piece(p []byte) error {
	return s.send(&proto.CallPart{Part: &proto.CallPart_Piece{Piece: p}})
}

func (s sent) end(ref string) error {
	return s.send(&proto.CallPart{Part: &proto.CallPart_End{End: ref}})
}
