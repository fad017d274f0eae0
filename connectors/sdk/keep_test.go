package sdk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// TestKeep gives contents of all sizes around that of a piece out, under their
// references, and holds the bound of a call.
func TestKeep(t *testing.T) {
	out := &held{contents: map[string][]byte{}}
	k := newKeeper(out, 6*proto.MaxPiece)
	ctx := k.within(t.Context())
	for _, n := range []int{0, 1, proto.MaxPiece - 1, proto.MaxPiece, proto.MaxPiece + 1} {
		content := bytes.Repeat([]byte{byte(n)}, n)
		ref, err := Keep(ctx, iotest.HalfReader(bytes.NewReader(content)))
		if err != nil || ref != kind.ArtifactOf(content) || !bytes.Equal(out.contents[ref], content) {
			t.Errorf("%d bytes: %s, %v", n, ref, err)
		}
	}
	lost := errors.New("the vendor broke off")
	if _, err := Keep(ctx, io.MultiReader(strings.NewReader("half"), iotest.ErrReader(lost))); !errors.Is(err, lost) {
		t.Errorf("broken off: %v", err)
	}
	if _, err := Keep(ctx, bytes.NewReader(make([]byte, 4*proto.MaxPiece))); err == nil || len(out.contents) != 5 {
		t.Errorf("more than the call may: %v, %d kept", err, len(out.contents))
	}
	if kept := k.close(); len(kept) != 5 {
		t.Errorf("kept %v", kept)
	}
	if _, err := Keep(ctx, strings.NewReader("late")); err == nil {
		t.Error("kept after the call")
	}
	if _, err := Keep(t.Context(), strings.NewReader("alone")); err == nil {
		t.Error("kept without a call")
	}
	over, cancel := context.WithCancel(newKeeper(out, 10).within(t.Context()))
	cancel()
	if _, err := Keep(over, strings.NewReader("late")); !errors.Is(err, context.Canceled) {
		t.Errorf("after the deadline: %v", err)
	}
}
