package api

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// HeaderIdempotency names the key that makes starting a run safe to repeat.
const HeaderIdempotency = "Idempotency-Key"

// HeaderCSRF carries the token of a browser's session with each change.
const HeaderCSRF = "Quell-Csrf"

// runPath writes a run's id as path segments; an id of another form is an
// error here, not a surprise at the server.
func runPath(id, verb string) (string, error) {
	p := strings.Split(id, "/")
	if len(p) != 3 || p[0] == "" || p[1] == "" || p[2] == "" {
		return "", Problem(CodeInvalid, fmt.Sprintf("%q is not a run's id such as contain-infected-host/3fa9c1/1", id))
	}
	for i := range p {
		p[i] = url.PathEscape(p[i])
	}
	return "/v1/runs/" + strings.Join(p, "/") + verb, nil
}

// Start launches a playbook. key makes a repetition return the first run;
// empty means a fresh one.
func (c *Client) Start(ctx context.Context, in StartRun, key string) (Started, error) {
	if key == "" {
		key = rand.Text()
	}
	var out Started
	err := c.do(ctx, http.MethodPost, "/v1/runs", in, &out, http.Header{HeaderIdempotency: {key}})
	return out, err
}

// Runs lists runs, newest first.
func (c *Client) Runs(ctx context.Context, f RunFilter) (Runs, error) {
	return get[Runs](ctx, c, "/v1/runs", query("playbook", f.Playbook, "status", string(f.Status),
		"closing", f.Closing, "incident", f.Incident, "limit", strconv.Itoa(f.Limit), "cursor", f.Cursor))
}

// Run shows one run.
func (c *Client) Run(ctx context.Context, id string) (RunDetail, error) {
	path, err := runPath(id, "")
	if err != nil {
		return RunDetail{}, err
	}
	return get[RunDetail](ctx, c, path, nil)
}

// ReviewForm is how a post-incident review is written.
type ReviewForm string

// The forms of a review.
const (
	ReviewJSON     ReviewForm = ""
	ReviewHTML     ReviewForm = ".html"
	ReviewMarkdown ReviewForm = ".md"
)

// Review writes the post-incident review of a run to w: as it is now, or with
// kept as the run's last report step kept it. place is where it will be put, for the
// review to say; it may be empty, and is cut at 1000 bytes.
func (c *Client) Review(ctx context.Context, id string, form ReviewForm, kept bool, place string, w io.Writer) error {
	path, err := runPath(id, "/report"+string(form))
	if err != nil {
		return err
	}
	q := url.Values{}
	if kept {
		q.Set("kept", "true")
	}
	if place != "" {
		q.Set("place", place[:min(len(place), 1000)])
	}
	if len(q) > 0 {
		path += "?" + q.Encode()
	}
	res, err := c.send(ctx, c.flow, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(w, res.Body); err != nil {
		return &Unreachable{Where: c.where, Err: fmt.Errorf("the review broke off: %w", err)}
	}
	return nil
}

// Undo starts taking back what a run did.
func (c *Client) Undo(ctx context.Context, id string, in UndoRun) (Undo, error) {
	path, err := runPath(id, "/undo")
	if err != nil {
		return Undo{}, err
	}
	return post[Undo](ctx, c, path, in)
}

// UndoResult asks how far an undo is. id is Undo.ID.
func (c *Client) UndoResult(ctx context.Context, id string) (Undo, error) {
	rest, ok := strings.CutPrefix(id, "undo/")
	cut := strings.LastIndexByte(rest, '/')
	if !ok || cut < 0 {
		return Undo{}, Problem(CodeInvalid, fmt.Sprintf("%q is not an undo's id such as undo/RUN/1", id))
	}
	path, err := runPath(rest[:cut], "/undo/"+url.PathEscape(rest[cut+1:]))
	if err != nil {
		return Undo{}, err
	}
	return get[Undo](ctx, c, path, nil)
}

// Cancel stops a run. What it did stays.
func (c *Client) Cancel(ctx context.Context, id string, in CancelRun) error {
	path, err := runPath(id, "/cancel")
	if err != nil {
		return err
	}
	return c.do(ctx, http.MethodPost, path, in, nil, nil)
}

// Approvals lists requests to people, by default the open ones.
func (c *Client) Approvals(ctx context.Context, f ApprovalFilter) (Approvals, error) {
	all := ""
	if f.All {
		all = "true"
	}
	return get[Approvals](ctx, c, "/v1/approvals", query("run", f.Run, "all", all, "limit", strconv.Itoa(f.Limit), "cursor", f.Cursor))
}

// AllApprovals goes through the pages of a list of requests. It ends with the first
// error.
func (c *Client) AllApprovals(ctx context.Context, f ApprovalFilter) iter.Seq2[Approval, error] {
	return func(yield func(Approval, error) bool) {
		for {
			page, err := c.Approvals(ctx, f)
			if err != nil {
				yield(Approval{}, err)
				return
			}
			for _, a := range page.Approvals {
				if !yield(a, nil) {
					return
				}
			}
			if f.Cursor = page.Next; f.Cursor == "" {
				return
			}
		}
	}
}

// Approval shows one request.
func (c *Client) Approval(ctx context.Context, id string) (Approval, error) {
	return get[Approval](ctx, c, "/v1/approvals/"+url.PathEscape(id), nil)
}

// Vote approves or denies. The answer is the request after the vote.
func (c *Client) Vote(ctx context.Context, id string, in Vote) (Approval, error) {
	return post[Approval](ctx, c, "/v1/approvals/"+url.PathEscape(id)+"/vote", in)
}

// Answer answers a question.
func (c *Client) Answer(ctx context.Context, id string, in Answer) (Approval, error) {
	return post[Approval](ctx, c, "/v1/approvals/"+url.PathEscape(id)+"/answer", in)
}

// Resolve decides on an effect that failed or is unknown.
func (c *Client) Resolve(ctx context.Context, id string, in Resolve) (Approval, error) {
	return post[Approval](ctx, c, "/v1/approvals/"+url.PathEscape(id)+"/resolve", in)
}

// SendAlert posts an alert's body as it is, signed with the source's secret.
// id names the delivery; a repetition under the same alert id starts nothing
// new.
func (c *Client) SendAlert(ctx context.Context, source, id string, body, secret []byte) (AlertReceived, error) {
	if len(secret) == 0 {
		return AlertReceived{}, errors.New("send alert: the source's secret is empty")
	}
	if id == "" {
		id = "msg_" + rand.Text()
	}
	at := time.Now()
	head := http.Header{}
	head.Set(HeaderWebhookID, id)
	head.Set(HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	head.Set(HeaderWebhookSignature, SignAlert(secret, id, at, body))
	var out AlertReceived
	err := c.do(ctx, http.MethodPost, "/v1/alerts/"+url.PathEscape(source), body, &out, head)
	return out, err
}

// Alerts lists alerts, newest first.
func (c *Client) Alerts(ctx context.Context, f AlertFilter) (Alerts, error) {
	return get[Alerts](ctx, c, "/v1/alerts", query("source", f.Source, "limit", strconv.Itoa(f.Limit), "cursor", f.Cursor))
}

// Alert shows one alert.
func (c *Client) Alert(ctx context.Context, id string) (AlertDetail, error) {
	return get[AlertDetail](ctx, c, "/v1/alerts/"+url.PathEscape(id), nil)
}

// Connectors lists the configured instances with their state.
func (c *Client) Connectors(ctx context.Context) (Connectors, error) {
	return get[Connectors](ctx, c, "/v1/connectors", nil)
}

// CheckConnector asks an instance whether its credential and network are good.
func (c *Client) CheckConnector(ctx context.Context, instance string) (Connector, error) {
	return post[Connector](ctx, c, "/v1/connectors/"+url.PathEscape(instance)+"/check", nil)
}

// Installed tells what playbooks meet here.
func (c *Client) Installed(ctx context.Context) (Installed, error) {
	return get[Installed](ctx, c, "/v1/installed", nil)
}

// Playbooks lists the active playbooks.
func (c *Client) Playbooks(ctx context.Context) (Playbooks, error) {
	return get[Playbooks](ctx, c, "/v1/playbooks", nil)
}

// Entries lists entries of the ledger in its order.
func (c *Client) Entries(ctx context.Context, f EntryFilter) (Entries, error) {
	return get[Entries](ctx, c, "/v1/ledger/entries", query("run", f.Run,
		"after", strconv.FormatUint(f.After, 10), "limit", strconv.Itoa(f.Limit)))
}

// ExportLedger writes the ledger in the form that the offline verifier reads.
func (c *Client) ExportLedger(ctx context.Context, w io.Writer) error {
	res, err := c.send(ctx, c.flow, http.MethodGet, "/v1/ledger/export", nil, nil)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := io.Copy(w, res.Body); err != nil {
		return &Unreachable{Where: c.where, Err: fmt.Errorf("the export broke off: %w", err)}
	}
	return nil
}

// Checkpoint returns the ledger's last signed head.
func (c *Client) Checkpoint(ctx context.Context) (Checkpoint, error) {
	return get[Checkpoint](ctx, c, "/v1/ledger/checkpoint", nil)
}

// CreateToken makes a token; its secret is shown this once.
func (c *Client) CreateToken(ctx context.Context, in NewToken) (CreatedToken, error) {
	return post[CreatedToken](ctx, c, "/v1/tokens", in)
}

// Tokens lists tokens, without secrets.
func (c *Client) Tokens(ctx context.Context) (Tokens, error) {
	return get[Tokens](ctx, c, "/v1/tokens", nil)
}

// RevokeToken ends a token at once.
func (c *Client) RevokeToken(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/v1/tokens/"+url.PathEscape(id), nil, nil, nil)
}

// Sessions lists who is signed in with a browser.
func (c *Client) Sessions(ctx context.Context) (Sessions, error) {
	return get[Sessions](ctx, c, "/v1/sessions", nil)
}

// EndSession signs somebody out.
func (c *Client) EndSession(ctx context.Context, id string) error {
	return c.do(ctx, http.MethodDelete, "/v1/sessions/"+url.PathEscape(id), nil, nil, nil)
}

// Roles lists roles and what they allow.
func (c *Client) Roles(ctx context.Context) (Roles, error) {
	return get[Roles](ctx, c, "/v1/roles", nil)
}

// RotateToken gives a token another secret; overlap is how long the old one
// stays good, such as 10m, empty for not at all.
func (c *Client) RotateToken(ctx context.Context, id, overlap string) (CreatedToken, error) {
	return post[CreatedToken](ctx, c, "/v1/tokens/"+url.PathEscape(id)+"/rotate", RotateToken{Overlap: overlap})
}

// FirstAdmin uses up the code for the first admin.
func (c *Client) FirstAdmin(ctx context.Context, in FirstAdmin) (CreatedToken, error) {
	return post[CreatedToken](ctx, c, "/v1/first-admin", in)
}

// Health asks whether the process answers.
func (c *Client) Health(ctx context.Context) (Health, error) {
	return get[Health](ctx, c, "/v1/health", nil)
}

// Ready asks whether Quell can do its work. Not being ready is an answer here,
// not an error.
func (c *Client) Ready(ctx context.Context) (Ready, error) {
	return get[Ready](ctx, c, "/v1/ready", query("status", "ok"))
}

// Whoami asks whom the server takes the caller for.
func (c *Client) Whoami(ctx context.Context) (Whoami, error) {
	return get[Whoami](ctx, c, "/v1/whoami", nil)
}

// KillSwitch shows the kill switch.
func (c *Client) KillSwitch(ctx context.Context) (KillSwitch, error) {
	return get[KillSwitch](ctx, c, "/v1/guard/kill", nil)
}

// Kill turns the kill switch on: no new effect leaves.
func (c *Client) Kill(ctx context.Context, reason string) (KillSwitch, error) {
	return post[KillSwitch](ctx, c, "/v1/guard/kill", TurnSwitch{Reason: reason})
}

// LiftKill turns the kill switch off. It needs the scope admin.
func (c *Client) LiftKill(ctx context.Context, reason string) (KillSwitch, error) {
	return post[KillSwitch](ctx, c, "/v1/guard/lift", TurnSwitch{Reason: reason})
}
