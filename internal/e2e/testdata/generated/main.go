// Command main uses a client that was generated from the API's description and
// nothing of Quell: it starts a run, approves it as another person, and follows
// its events to the end.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"example.test/client/generated"
)

func as(server, token string) *generated.ClientWithResponses {
	c, err := generated.NewClientWithResponses(server, generated.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Bearer "+token)
		return nil
	}))
	if err != nil {
		fail("client: %v", err)
	}
	return c
}

func fail(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
	os.Exit(1)
}

func main() {
	server, host := os.Args[1], os.Args[2]
	analyst, lead := as(server, os.Getenv("ANALYST")), as(server, os.Getenv("LEAD"))
	ctx, cancel := context.WithTimeout(context.Background(), 90*time.Second)
	defer cancel()
	inputs := map[string]any{"hostname": host}
	started, err := analyst.StartRunWithResponse(ctx, &generated.StartRunParams{}, generated.StartRun{Playbook: "contain-infected-host", Inputs: &inputs})
	if err != nil || started.JSON202 == nil {
		fail("start: %v %s", err, started.Body)
	}
	run := started.JSON202.Run
	fmt.Println("started", run)
	approve(ctx, lead, run)
	follow(ctx, analyst, run)
}

func approve(ctx context.Context, c *generated.ClientWithResponses, run string) {
	for ctx.Err() == nil {
		open, err := c.ListApprovalsWithResponse(ctx, &generated.ListApprovalsParams{Run: &run})
		if err != nil || open.JSON200 == nil {
			fail("approvals: %v %s", err, open.Body)
		}
		for _, a := range open.JSON200.Approvals {
			if a.Kind != "approval" {
				continue
			}
			got, err := c.VoteWithResponse(ctx, a.Id, &generated.VoteParams{}, generated.Vote{Decision: "approve", Seal: a.Seal})
			if err != nil || got.JSON200 == nil {
				fail("vote: %v %s", err, got.Body)
			}
			fmt.Println("approved", a.Id)
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	fail("nobody was asked: %v", ctx.Err())
}

func follow(ctx context.Context, c *generated.ClientWithResponses, run string) {
	p := strings.Split(run, "/")
	res, err := c.ClientInterface.WatchRun(ctx, p[0], p[1], p[2], &generated.WatchRunParams{})
	if err != nil || res.StatusCode != http.StatusOK {
		fail("events: %v", err)
	}
	defer res.Body.Close()
	entries, event := 0, ""
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		switch line := lines.Text(); {
		case strings.HasPrefix(line, "event: "):
			event = strings.TrimPrefix(line, "event: ")
		case strings.HasPrefix(line, "data: ") && event == "entry":
			entries++
		case strings.HasPrefix(line, "data: ") && event == "end":
			var ended generated.Run
			if err := json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &ended); err != nil {
				fail("end: %v", err)
			}
			fmt.Println("ended", *ended.Closing, "after", entries, "entries")
			return
		}
	}
	fail("the events end before the run: %v", ctx.Err())
}
