package host

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc/metadata"

	"github.com/quell-soar/quell/connectors/proto"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// givesOut reports whether values of a type hold references of contents.
func givesOut(t kind.Type) bool {
	if t.Kind == kind.Artifact || t.Elem != nil && givesOut(*t.Elem) {
		return true
	}
	for _, f := range t.Fields {
		if givesOut(f.Type) {
			return true
		}
	}
	return false
}

// unkeptError says that a content could not be taken, by our own fault or because
// the connector does not keep to the form.
type unkeptError struct{ why error }

func (e *unkeptError) Error() string { return e.why.Error() }

// receive makes a call whose contents come in pieces. Each goes to the evidence
// store as it comes, and is kept only where the reply names it.
func (c *pending) receive(ctx context.Context, l line) (*proto.CallReply, metadata.MD, error) {
	c.drop()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // a connector that was not heard to the end is told to stop
	stream, err := l.proc.Connector().CallStreaming(ctx, c.wire)
	if err != nil {
		return nil, nil, err
	}
	in := &incoming{call: c}
	defer in.drop()
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			err = &unkeptError{errors.New("the connector gave no reply")}
		}
		if err != nil {
			return nil, nil, err
		}
		switch p := part.GetPart().(type) {
		case *proto.CallPart_Piece:
			err = in.piece(ctx, p.Piece)
		case *proto.CallPart_End:
			err = in.end(ctx, p.End)
		case *proto.CallPart_Reply:
			if _, err := stream.Recv(); !errors.Is(err, io.EOF) { // the trailer comes with the end
				return p.Reply, nil, nil
			}
			return p.Reply, stream.Trailer(), nil
		}
		if err != nil {
			return nil, nil, &unkeptError{err}
		}
	}
}

// drop forgets the contents that were not kept.
func (c *pending) drop() {
	for _, content := range c.given {
		content.Drop()
	}
	c.given = nil
}

// incoming is the content that is coming.
type incoming struct {
	call *pending
	now  Content
	size int64
}

func (in *incoming) piece(ctx context.Context, p []byte) error {
	if err := in.begin(ctx); err != nil {
		return err
	}
	if len(p) > proto.MaxPiece {
		return fmt.Errorf("a piece has %d bytes, more than %d", len(p), proto.MaxPiece)
	}
	if in.size += int64(len(p)); in.size > proto.MaxStreamed {
		return fmt.Errorf("the contents of one call have more than %d bytes", proto.MaxStreamed)
	}
	_, err := in.now.Write(p)
	return err
}

// begin opens a content, unless one is open.
func (in *incoming) begin(ctx context.Context) (err error) {
	if in.now != nil {
		return nil
	}
	if in.call.host.opts.Space != nil {
		if err := in.call.host.opts.Space(); err != nil {
			return err
		}
	}
	in.now, err = in.call.host.opts.Evidence.New(ctx)
	return err
}

// mostContents bounds how many contents one call gives out in pieces; each keeps a
// file open.
const mostContents = 64

func (in *incoming) end(ctx context.Context, ref string) error {
	if ref == "" { // it broke off; the reply says why
		in.drop()
		return nil
	}
	if err := in.begin(ctx); err != nil {
		return err
	}
	if in.now.Ref() != ref {
		return errors.New("an artifact's content does not fit its reference")
	}
	c := in.call
	switch {
	case c.given[ref] != nil:
		in.drop()
		return nil
	case len(c.given) >= mostContents:
		return fmt.Errorf("one call gives out more than %d contents", mostContents)
	case c.given == nil:
		c.given = map[string]Content{}
	}
	c.given[ref], in.now = in.now, nil
	return nil
}

func (in *incoming) drop() {
	if in.now != nil {
		in.now.Drop()
		in.now = nil
	}
}
