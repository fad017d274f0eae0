package server

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/quell-soar/quell/internal/intake"
	"github.com/quell-soar/quell/internal/runs"
	"github.com/quell-soar/quell/server/api"
)

// alertsAPI answers for alerts.
type alertsAPI struct {
	tenant string
	runs   *runs.Runs
	intake *intake.Intake
}

// receive takes a signed alert. Its signature covers the body byte for byte, so
// the body is read raw.
func (a *alertsAPI) receive(c *call) error {
	d := intake.Delivery{
		ID: single(c.Header, api.HeaderWebhookID), Timestamp: single(c.Header, api.HeaderWebhookTimestamp),
		Signature: single(c.Header, api.HeaderWebhookSignature),
	}
	if err := a.intake.Precheck(d); err != nil {
		return err
	}
	var err error
	if d.Body, err = io.ReadAll(c.Body); err != nil {
		return err
	}
	got, err := a.intake.Receive(c.Context(), c.PathValue("source"), d)
	if err != nil {
		return err
	}
	out := api.AlertReceived{Alert: got.Alert, Duplicate: got.Duplicate, Runs: verdictsOf(got.Verdicts)}
	code := http.StatusAccepted
	if got.Duplicate {
		code = http.StatusOK
	}
	c.write(code, "application/json", out)
	return nil
}

// single gives a header that stands once; twice is as bad as not at all.
func single(h http.Header, name string) string {
	if v := h.Values(name); len(v) == 1 {
		return v[0]
	}
	return ""
}

func verdictsOf(in []runs.Verdict) []api.AlertRun {
	out := make([]api.AlertRun, len(in))
	for i, v := range in {
		out[i] = api.AlertRun{Playbook: v.Playbook, Run: v.Run, Verdict: v.Verdict, Reason: v.Reason}
	}
	return out
}

func alertOf(a runs.Alert) api.Alert {
	return api.Alert{
		ID: a.ID, Source: a.Source, SourceID: a.Alert.ID, Kind: a.Kind, Title: a.Title, Severity: a.Severity,
		Occurred: a.Occurred, Received: a.Received, Dropped: a.Dropped, Runs: verdictsOf(a.Verdicts),
	}
}

func (a *alertsAPI) list(c *call, in *listAlertsIn) (*reply[api.Alerts], error) {
	list, next, err := a.runs.ListAlerts(c.Context(), runs.AlertFilter{
		Tenant: a.tenant, Source: in.Source, Limit: in.limit(), Cursor: in.Cursor,
	})
	if err != nil {
		return nil, err
	}
	out := api.Alerts{Alerts: make([]api.Alert, len(list)), Next: next}
	for i, x := range list {
		out.Alerts[i] = alertOf(x)
	}
	return ok(out)
}

func (a *alertsAPI) show(c *call, in *OfID) (*reply[api.AlertDetail], error) {
	id := in.ID
	got, err := a.runs.GetAlert(c.Context(), id)
	if err == nil && got.Tenant != a.tenant {
		err = fmt.Errorf("alert %s: %w", id, runs.ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	closing, err := a.runs.ClosingOf(c.Context(), id)
	if err != nil {
		return nil, err
	}
	return ok(api.AlertDetail{Alert: alertOf(got), Value: got.Value, Raw: got.Raw, ClosedAs: closing.As, ClosedBy: closing.By, Closed: closing.At})
}

// intakeProblem tells a sender what intake said, and nothing of why a signature
// failed.
func intakeProblem(err error) *api.Error {
	var busy *intake.BusyError
	switch {
	case errors.Is(err, intake.ErrSignature):
		return api.Problem(api.CodeUnauthenticated, err.Error())
	case errors.Is(err, intake.ErrShape):
		return api.Problem(api.CodeInvalid, err.Error())
	case errors.As(err, &busy):
		p := api.Problem(api.CodeRateLimited, busy.Error())
		p.RetryAfter = busy.After
		return p
	}
	return nil
}
