package panos

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/quell-soar/quell/connectors/spec"
)

// job is one job of the firewall, such as a commit.
type job struct {
	ID     string `xml:"id"`
	Type   string `xml:"type"`
	Status string `xml:"status"` // PEND, ACT, FIN
	Result string `xml:"result"` // PEND, OK, FAIL
}

func (j job) under() bool { return j.Status != "FIN" }

// commit makes the staged changes of this connector's administrator the running
// configuration and waits until it is so: done says whether it is. Those who
// wait for their turn find that the commit before theirs took their change
// along. Commits are repeatable, so one whose answer was lost is sent again.
func (s *session) commit(ctx context.Context, done func(context.Context) (bool, error)) (spec.Outcome, error) {
	select {
	case s.commits <- struct{}{}:
		defer func() { <-s.commits }()
	case <-ctx.Done():
		return spec.Pending, nil
	}
	for wait := firstPoll; ; wait = min(wait*3/2, lastPoll) {
		if yes, err := done(ctx); err == nil && yes {
			return spec.Done, nil
		}
		id, err := s.startCommit(ctx)
		switch k := spec.KindOf(err); {
		case err == nil && id == "":
			return s.nothing(ctx, done)
		case err == nil:
			return s.await(ctx, id)
		case k == spec.Conflict && strings.Contains(err.Error(), "commit is"), k == spec.Uncertain:
			// Another commit is under way, or nobody knows: look again and retry.
		default:
			return "", err
		}
		if !pause(ctx, wait) {
			if spec.KindOf(err) == spec.Uncertain {
				return "", err
			}
			return spec.Pending, nil
		}
	}
}

// startCommit asks for a commit and returns its job; none where the firewall
// finds nothing to commit.
func (s *session) startCommit(ctx context.Context) (string, error) {
	cmd := fmt.Sprintf("<commit><partial><admin><member>%s</member></admin></partial><description>Quell</description></commit>", element(s.user))
	var out struct {
		Job string `xml:"job"`
	}
	_, err := s.ask(ctx, url.Values{"type": {"commit"}, "action": {"partial"}, "cmd": {cmd}}, false, &out)
	return strings.TrimSpace(out.Job), err
}

// nothing is the answer where there was nothing of ours to commit.
func (s *session) nothing(ctx context.Context, done func(context.Context) (bool, error)) (spec.Outcome, error) {
	yes, err := done(ctx)
	if err != nil {
		return "", spec.Errorf(spec.Uncertain, "the firewall found nothing to commit, and its configuration could not be read: %v", err)
	}
	if !yes {
		return "", spec.Errorf(spec.Conflict, "the change stands in the candidate configuration as another administrator's; let that one commit or revert it, and use an administrator for Quell alone")
	}
	return spec.Done, nil
}

// await waits for a commit's end, or answers Pending at the deadline.
func (s *session) await(ctx context.Context, id string) (spec.Outcome, error) {
	for wait := firstPoll; ; wait = min(wait*3/2, lastPoll) {
		if !pause(ctx, wait) {
			return spec.Pending, nil
		}
		j, said, err := s.job(ctx, id)
		switch {
		case err != nil || j.under():
			continue // it was accepted; only the deadline ends the wait
		case j.Result != "OK":
			return "", spec.Errorf(spec.Conflict, "the firewall's commit %s failed, and nothing changed: %s", id, short(said))
		}
		return spec.Done, nil
	}
}

func (s *session) job(ctx context.Context, id string) (job, string, error) {
	var out struct {
		Jobs []job `xml:"job"`
	}
	said, err := s.ask(ctx, url.Values{"type": {"op"}, "cmd": {"<show><jobs><id>" + element(id) + "</id></jobs></show>"}}, true, &out)
	if err != nil {
		return job{}, said, err
	}
	for _, j := range out.Jobs {
		if j.ID == id {
			return j, said, nil
		}
	}
	return job{}, said, spec.Errorf(spec.Transient, "the firewall does not tell of its job %s", id)
}

// committing reports whether a commit is under way or waits its turn.
func (s *session) committing(ctx context.Context) (bool, error) {
	var out struct {
		Jobs []job `xml:"job"`
	}
	if _, err := s.ask(ctx, url.Values{"type": {"op"}, "cmd": {"<show><jobs><all/></jobs></show>"}}, true, &out); err != nil {
		return false, err
	}
	for _, j := range out.Jobs {
		if strings.HasPrefix(j.Type, "Commit") && j.under() {
			return true, nil
		}
	}
	return false, nil
}
