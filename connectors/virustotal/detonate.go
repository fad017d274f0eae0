package virustotal

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// maxFile is the largest file that the plain upload takes.
const maxFile = 32 << 20

const (
	// margin lets the answer leave before the deadline.
	margin = 150 * time.Millisecond
	// lostPatience is how long a lost upload is looked for.
	lostPatience = 2 * time.Second
)

// detonate gives the verdict on a file's content: of an earlier analysis, of one
// under way, or of a new one.
func (s *session) detonate(ctx context.Context, r spec.Request) (spec.Reply, error) {
	ref, _ := r.Inputs["file"].(string)
	hash, ok := strings.CutPrefix(ref, "sha256:")
	if !ok {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "%s: %q is no artifact", r.Action, ref)
	}
	known, err := s.object(ctx, "files", hash)
	now, finished := known.verdict()
	switch found := spec.KindOf(err) != spec.NotFound; {
	case err != nil && found:
		return spec.Reply{}, err
	case r.Mode == spec.Back && err != nil:
		return spec.Reply{Outcome: spec.Absent}, nil
	case r.Mode == spec.Back:
		return s.present(ctx, hash, known)
	case err == nil && finished:
		return spec.Reply{Outcome: spec.Already, Output: s.judge(now)}, nil
	case err == nil:
		return s.await(ctx, "files", hash, spec.Already)
	}
	id, err := s.upload(ctx, hash, r.Artifacts[ref])
	if err != nil {
		return spec.Reply{}, err
	}
	if id == "" {
		return s.await(ctx, "files", hash, spec.Done)
	}
	return s.await(ctx, "analyses", id, spec.Done)
}

// present waits for the analysis of a file that is known: an answer without a
// verdict would end the step without one.
func (s *session) present(ctx context.Context, hash string, known thing) (spec.Reply, error) {
	if now, finished := known.verdict(); finished {
		return spec.Reply{Outcome: spec.Present, Output: s.judge(now)}, nil
	}
	reply, err := s.await(ctx, "files", hash, spec.Present)
	if err == nil && reply.Outcome == spec.Pending {
		return spec.Reply{}, spec.Errorf(spec.Transient, "VirusTotal's analysis of the file is under way; ask again")
	}
	return reply, err
}

// upload hands a file in and returns the analysis. Where the answer was lost and
// the file is there, there is none to name.
func (s *session) upload(ctx context.Context, hash string, content []byte) (analysis string, err error) {
	switch {
	case !s.submit:
		return "", spec.Errorf(spec.Permission, "VirusTotal does not know the file, and the setting submit is off; switch it on, where its customers may read such files, or use another sandbox")
	case len(content) == 0:
		return "", spec.Errorf(spec.Invalid, "the file is empty; there is nothing to detonate")
	case len(content) > maxFile:
		return "", spec.Errorf(spec.Invalid, "the file has %d bytes, and VirusTotal takes at most %d", len(content), maxFile)
	}
	t, err := s.send(ctx, rest.Request{
		Method: http.MethodPost, Path: []string{"api", "v3", "files"}, Upload: &rest.Upload{Field: "file", File: hash, Content: content},
	})
	if err == nil && t.ID != "" {
		return t.ID, nil
	}
	if err == nil {
		err = spec.Errorf(spec.Uncertain, "VirusTotal took the file and did not name its analysis")
	}
	if spec.KindOf(err) != spec.Uncertain {
		return "", err
	}
	for end := time.Now().Add(lostPatience); time.Now().Before(end) && pause(ctx, min(s.poll, time.Second)); {
		if _, again := s.object(ctx, "files", hash); again == nil {
			return "", nil
		}
	}
	return "", err
}

// await asks until there is a verdict, or answers Pending at the deadline. The
// file is there: what goes wrong now only delays the verdict.
func (s *session) await(ctx context.Context, collection, id string, outcome spec.Outcome) (spec.Reply, error) {
	for {
		t, err := s.object(ctx, collection, id)
		if now, finished := t.verdict(); err == nil && finished {
			return spec.Reply{Outcome: outcome, Output: s.judge(now)}, nil
		}
		wait := s.poll
		if spec.KindOf(err) == spec.RateLimited {
			wait = max(wait, quotaWait)
		}
		if !pause(ctx, wait) {
			return spec.Reply{Outcome: spec.Pending}, nil
		}
	}
}

// pause waits, and reports false where the deadline would come first.
func pause(ctx context.Context, d time.Duration) bool {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < d+margin {
		return false
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
