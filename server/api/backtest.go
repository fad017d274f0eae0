package api

import (
	"context"
	"net/http"
	"time"
)

// BacktestRequest asks what a version of a playbook would have made of what was
// recorded.
type BacktestRequest struct {
	// Source is the new version; Beside are playbooks that it calls, where they are
	// not active.
	Source PlaybookText   `json:"source"`
	Beside []PlaybookText `json:"beside,omitempty" maxItems:"50"`
	// Since is how far back, such as 30d.
	Since string `json:"since,omitempty" maxLength:"20" doc:"how far back, such as 30d; 30d where it is not given"`
}

// Backtest is what came of playing recorded alerts and runs through a new version,
// beside the version that each ran with. No connector was called.
type Backtest struct {
	Playbook string    `json:"playbook"`
	Digest   string    `json:"digest" doc:"of the new version"`
	Since    time.Time `json:"since"`
	Until    time.Time `json:"until"`
	// Alerts counts those that were looked at, Runs the recorded runs.
	Alerts int `json:"alerts"`
	Runs   int `json:"runs"`
	// Same, Differ and Missing count: what goes on as it did, what differs for
	// certain, and what cannot be told because data is missing. One that differs up
	// to where data is missing counts as differing.
	Same    int `json:"same"`
	Differ  int `json:"differ"`
	Missing int `json:"missing"`
	// Cases are all that are not the same, the oldest first.
	Cases []BacktestCase `json:"cases"`
	// Cut says that there was more in that time than one backtest takes.
	Cut bool `json:"cut,omitempty"`
	// TookMillis is how long it took.
	TookMillis int64 `json:"took_ms"`
}

// BacktestCase is one alert or run of which the new version makes something else,
// or might.
type BacktestCase struct {
	At time.Time `json:"at"`
	// Alert is set where an alert led to it, Run where there was one.
	Alert string `json:"alert,omitempty"`
	Run   string `json:"run,omitempty"`
	// Verdict is differs or missing.
	Verdict string `json:"verdict" enum:"differs,missing"`
	// Starts says what becomes of the start, where that differs.
	Starts *BacktestChange `json:"starts,omitempty"`
	// Decides are the conditions that go another way.
	Decides []BacktestChange `json:"decides,omitempty"`
	// Targets are effects, as ACTION TARGETS, that come in (only after) or fall away
	// (only before).
	Targets []BacktestChange `json:"targets,omitempty"`
	// Inputs are effects on the same targets with other inputs.
	Inputs []BacktestChange `json:"inputs,omitempty"`
	// Asks are requests to people that come in or fall away.
	Asks []BacktestChange `json:"asks,omitempty"`
	// Ends is how the run closes, where that differs.
	Ends *BacktestChange `json:"ends,omitempty"`
	// Missing says what was never recorded; nothing behind it is told.
	Missing []string `json:"missing,omitempty"`
	// Assumed says what was taken for an answer that is not recorded for exactly
	// these inputs.
	Assumed []string `json:"assumed,omitempty"`
}

// BacktestChange is one difference; What is the step, or empty.
type BacktestChange struct {
	What   string `json:"what,omitempty"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
}

// Backtest plays what was recorded through a new version. It may take minutes.
func (c *Client) Backtest(ctx context.Context, in BacktestRequest) (Backtest, error) {
	return flow[Backtest](ctx, c, http.MethodPost, "/v1/backtests", in)
}

// Answers lists the recorded answers of a run.
func (c *Client) Answers(ctx context.Context, run string) (Answers, error) {
	path, err := runPath(run, "/answers")
	if err != nil {
		return Answers{}, err
	}
	return get[Answers](ctx, c, path, nil)
}
