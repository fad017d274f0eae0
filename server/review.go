package server

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/report"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/server/api"
	"github.com/quell-soar/quell/workflows/run"
)

// Reviews makes the post-incident review of a run; report.Builder does.
type Reviews interface {
	Build(ctx context.Context, tenant, runID string, tree *run.Progress) (*report.Report, error)
}

// review answers with the review of a run as it stands now, or with kept=true as
// its last report step kept it. place is where the caller will put it, for the page to
// say. The path's ending says how it is written.
func (a *runsAPI) review(c *call) error {
	rec, err := a.get(c.Context(), c.run())
	if err != nil {
		return err
	}
	var made *report.Report
	switch c.URL.Query().Get("kept") {
	case "", "false":
		made, err = a.reviewNow(c.Context(), rec)
	case "true":
		made, err = a.reviewKept(c.Context(), rec.ID)
	default:
		return invalid("kept is true or false")
	}
	if err != nil {
		return err
	}
	place := c.URL.Query().Get("place")
	if len(place) > maxPlace {
		return invalid("place has more than %d bytes", maxPlace)
	}
	made.Written = &report.Written{By: c.actor.Name, At: time.Now().UTC(), Place: place}
	return writeReview(c, made)
}

// maxPlace bounds what a client says about where it puts a review, in bytes.
const maxPlace = 1000

// reviewNow builds it anew. A live run's tree comes from the engine; where that
// cannot tell, the review is made without.
func (a *runsAPI) reviewNow(ctx context.Context, rec runs.Record) (*report.Report, error) {
	var tree *run.Progress
	if rec.Status == runs.Running {
		tree, _, _ = a.tree(ctx, rec)
	}
	return a.reviews.Build(ctx, a.tenant, rec.ID, tree)
}

func (a *runsAPI) reviewKept(ctx context.Context, runID string) (*report.Report, error) {
	list, err := a.rooms.Ledger.Read(ctx, ledger.Filter{Run: runID, Kind: "report.made"})
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, api.Problem(api.CodeNotFound, "no report step of this run has kept a review; without kept=true it is made now")
	}
	last := list[len(list)-1]
	if len(last.Body) == 0 {
		return nil, api.Problem(api.CodeNotFound, fmt.Sprintf("the review in row %d was erased under retention", last.Seq))
	}
	return report.FromEntry(last.Body)
}

func writeReview(c *call, r *report.Report) error {
	var b bytes.Buffer
	var err error
	media := "application/json"
	switch {
	case strings.HasSuffix(c.URL.Path, ".html"):
		media, err = "text/html; charset=utf-8", r.HTML(&b)
		c.w.Header().Set("Content-Security-Policy", report.Policy())
	case strings.HasSuffix(c.URL.Path, ".md"):
		media, err = "text/markdown; charset=utf-8", r.Markdown(&b)
	default:
		err = json.NewEncoder(&b).Encode(r)
	}
	if err != nil {
		return err
	}
	c.bytes(http.StatusOK, media, b.Bytes())
	return nil
}
