package entra

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"slices"
	"sync"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// places is where the copies of one call lay before it: by mark of the copy, the
// folder where it lay, for those that lay neither in the inbox nor in quarantine;
// and the marks of those that lay in quarantine. The others lay in the inbox.
// Marks and omissions keep a sweep over thousands within the size of a prior
// state.
type places struct {
	folders map[string]any
	held    []any
}

func (p places) prior() map[string]any {
	return map[string]any{"folders": p.folders, "held": p.held}
}

// maxPlaces bounds the folders that a prior state can name.
const maxPlaces = 1000

func markOf(h kind.Handle) string {
	sum := sha256.Sum256([]byte(h.ID))
	return hex.EncodeToString(sum[:8])
}

// copyState is one copy of a sweep.
type copyState struct {
	handle      kind.Handle
	mailbox, id string
	// folder is where it lies; inbox and held are its mailbox's own folders.
	folder, inbox, held string
	err                 error
	// to is where it shall go; empty leaves it where it is.
	to      string
	changed bool
}

func (c *copyState) quarantined() bool { return c.folder == c.held }

// sweep quarantines copies or restores them: reads all, decides, moves, verifies
// each.
func (s *session) sweep(hide bool) func(context.Context, spec.Request) (spec.Reply, error) {
	return func(ctx context.Context, r spec.Request) (spec.Reply, error) {
		given, _ := r.Inputs["messages"].([]any)
		copies := make([]*copyState, len(given))
		for i, v := range given {
			mailbox, id, h, err := copyOf(r.Action, v)
			if err != nil {
				return spec.Reply{}, err
			}
			copies[i] = &copyState{handle: h, mailbox: mailbox, id: id}
		}
		if err := s.locateAll(ctx, copies); err != nil {
			return spec.Reply{}, err
		}
		before, known := s.lay.Get(r.Key)
		if !known {
			before = lay(copies)
		}
		if r.Mode == spec.Back {
			return sweepBack(copies, hide, before), nil
		}
		if len(before.folders) > maxPlaces {
			return spec.Reply{}, spec.Errorf(spec.Invalid, "more than %d of the copies lie outside of the inbox, and where each lay could not be kept; pass them in parts", maxPlaces)
		}
		before = s.lay.First(r.Key, before)
		decide(copies, hide, r.Prior, s.quarantine)
		s.moveAll(ctx, copies)
		return sweepReply(copies, hide, before)
	}
}

// locateAll reads where every copy lies. A copy that is gone is so for itself; any
// other error is one for all, for nothing was done yet.
func (s *session) locateAll(ctx context.Context, copies []*copyState) error {
	var mu sync.Mutex
	var wrong error
	done := 0
	each(ctx, copies, func(ctx context.Context, _ int, c *copyState) {
		_, err := again(ctx, &mu, &done, func() (struct{}, error) { return struct{}{}, s.locateOne(ctx, c) })
		mu.Lock()
		defer mu.Unlock()
		switch spec.KindOf(err) {
		case spec.NotFound:
			c.err = err
		default:
			if err != nil {
				wrong = err
				return
			}
		}
		done++
	}, func() bool { mu.Lock(); defer mu.Unlock(); return wrong != nil })
	if wrong == nil && done < len(copies) {
		wrong = spec.Errorf(spec.Transient, "the deadline came after %d of %d copies were looked at", done, len(copies))
	}
	return wrong
}

func (s *session) locateOne(ctx context.Context, c *copyState) (err error) {
	if c.folder, err = s.locate(ctx, c.mailbox, c.id); err != nil {
		return err
	}
	if c.held, err = s.folderID(ctx, c.mailbox, s.quarantine); err != nil {
		return err
	}
	c.inbox, err = s.folderID(ctx, c.mailbox, "inbox")
	return err
}

// folderID reads the id of a mailbox's well-known folder.
func (s *session) folderID(ctx context.Context, mailbox, name string) (string, error) {
	f, err := get[thing](ctx, s, rest.Request{
		Path: v1("users", mailbox, "mailFolders", name), Query: url.Values{"$select": {"id"}}, Header: immutable,
	})
	return f.ID, err
}

// lay notes where copies lie.
func lay(copies []*copyState) places {
	p := places{folders: map[string]any{}, held: []any{}}
	for _, c := range copies {
		switch {
		case c.err != nil || c.folder == c.inbox:
		case c.quarantined():
			p.held = append(p.held, markOf(c.handle))
		default:
			p.folders[markOf(c.handle)] = c.folder
		}
	}
	return p
}

// decide says where each copy shall go. As an inverse it puts a copy where it lay
// and leaves alone what was as it is before us.
func decide(copies []*copyState, hide bool, prior map[string]any, quarantine string) {
	held, _ := prior["held"].([]any)
	folders, _ := prior["folders"].(map[string]any)
	for _, c := range copies {
		wasHeld := slices.Contains(held, any(markOf(c.handle)))
		switch {
		case c.err != nil, hide == c.quarantined():
		case prior != nil && wasHeld != hide:
		case hide:
			c.to = quarantine
		default:
			c.to = c.inbox
			if f, ok := folders[markOf(c.handle)].(string); ok {
				c.to = f
			}
		}
	}
}

// moveAll moves what shall be moved and reads where it lies then. A rate limit is
// waited for once anything was moved: then "nothing happened" is no longer true.
func (s *session) moveAll(ctx context.Context, copies []*copyState) {
	var mu sync.Mutex
	done := 0
	each(ctx, copies, func(ctx context.Context, _ int, c *copyState) {
		if c.to == "" {
			return
		}
		_, err := again(ctx, &mu, &done, func() (struct{}, error) { return struct{}{}, s.moveOne(ctx, c) })
		mu.Lock()
		defer mu.Unlock()
		if c.err = err; err == nil {
			done++
		}
	}, func() bool { return false })
	for _, c := range copies {
		if c.to != "" && !c.changed && c.err == nil {
			c.err = spec.Errorf(spec.Transient, "the deadline came before its turn")
		}
	}
}

// moveOne moves one copy and returns when it is seen to lie there.
func (s *session) moveOne(ctx context.Context, c *copyState) error {
	folder := c.to
	if folder == s.quarantine {
		folder = c.held
	}
	_, outcome, _, err := change{
		want: moved,
		read: func(ctx context.Context) (string, error) {
			now, err := s.locate(ctx, c.mailbox, c.id)
			if now == folder {
				return moved, err
			}
			return still, err
		},
		write: func(ctx context.Context) (string, error) {
			err := s.move(ctx, c.mailbox, c.id, c.to)
			if spec.KindOf(err) == spec.NotFound && c.to != s.quarantine && c.to != c.inbox {
				// The folder where it lay is gone.
				folder, c.to = c.inbox, c.inbox
				err = s.move(ctx, c.mailbox, c.id, c.to)
			}
			return "", err
		},
	}.bring(ctx)
	if err != nil {
		return err
	}
	if outcome == spec.Pending {
		return spec.Errorf(spec.Uncertain, "the move was accepted and is not seen yet")
	}
	c.folder, c.changed = folder, true
	return nil
}

// sweepReply says what came of all copies.
func sweepReply(copies []*copyState, hide bool, before places) (spec.Reply, error) {
	out := spec.Reply{Outcome: spec.Already, Prior: before.prior(), Failed: map[string]string{}}
	good, changed := 0, 0
	var worst error
	for _, c := range copies {
		switch {
		case c.err != nil:
			out.Failed[c.handle.Label+" "+markOf(c.handle)] = c.err.Error()
			if worst == nil || spec.KindOf(c.err) == spec.Uncertain {
				worst = c.err
			}
		case c.changed:
			changed++
			good++
		default:
			good++
		}
	}
	switch {
	case worst != nil && changed == 0 && (good == 0 || spec.KindOf(worst) != spec.NotFound):
		return spec.Reply{}, worst
	case worst != nil:
		out.Outcome = spec.Partial
	case changed > 0:
		out.Outcome = spec.Done
	}
	out.Output = sweepOutput(hide, good)
	return out, nil
}

func sweepOutput(hide bool, n int) map[string]any {
	if hide {
		return map[string]any{"quarantined": int64(n)}
	}
	return map[string]any{"restored": int64(n)}
}

// sweepBack answers whether all copies that are left lie where they shall.
func sweepBack(copies []*copyState, hide bool, before places) spec.Reply {
	left, good := 0, 0
	for _, c := range copies {
		if c.err != nil {
			continue
		}
		left++
		if c.quarantined() == hide {
			good++
		}
	}
	if left > 0 && good == left {
		return spec.Reply{Outcome: spec.Present, Output: sweepOutput(hide, good), Prior: before.prior()}
	}
	return spec.Reply{Outcome: spec.Absent, Prior: before.prior()}
}
