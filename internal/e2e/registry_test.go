package e2e

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/server/api"
)

const looking = `quell: 1
playbook: looking
title: Look at it
owner: soc
on:
  manual: { roles: [analyst] }
triage:
  - id: seen
    ask: Did you look?
    from:
      - { who: [analyst], within: 1h }
  - stop: benign
`

// A run keeps the version with which it began; what starts later runs the new one;
// what is retired starts no more, and what waits goes on. A broken file in the
// folder keeps the version before it, over a restart too.
func TestRegistry(t *testing.T) {
	alongside(t)
	h := newHouse(t, startLab(t), "")
	h.start()
	c, ctx := h.client(), t.Context()
	publish := func(text string) (api.PublishedPlaybooks, error) {
		return c.PublishPlaybooks(ctx, api.PublishPlaybooks{Playbooks: []api.PublishText{{File: "looking.yaml", Text: text}}})
	}
	start := func() (string, error) {
		s, err := c.Start(ctx, api.StartRun{Playbook: "looking"}, "")
		return s.Run, err
	}
	answer := func(run string) {
		eventually(t, 30*time.Second, "the question of "+run+" is answered", func() (bool, error) {
			list, err := c.Approvals(ctx, api.ApprovalFilter{Run: run})
			if err != nil || len(list.Approvals) == 0 {
				return false, err
			}
			done := true
			_, err = c.Answer(ctx, list.Approvals[0].ID, api.Answer{Done: &done})
			return err == nil, err
		})
	}
	closing := func(run string) (closing, digest string) {
		eventually(t, 30*time.Second, run+" ends", func() (bool, error) {
			d, err := c.Run(ctx, run)
			closing, digest = d.Closing, d.Digest
			return err == nil && d.Status == api.RunEnded, err
		})
		return closing, digest
	}
	one, err := publish(looking)
	if err != nil {
		t.Fatal(err)
	}
	old, err := start()
	if err != nil {
		t.Fatal(err)
	}
	two, err := publish(strings.Replace(looking, "stop: benign", "stop: duplicate", 1))
	if err != nil || two.Published[0].SameMeaning || two.Published[0].Version != 2 {
		t.Fatal(two, err)
	}
	fresh, err := start()
	if err != nil {
		t.Fatal(err)
	}
	answer(old)
	if is, digest := closing(old); is != "benign" || digest != one.Published[0].Digest {
		t.Errorf("the old run ended as %s with plan %s", is, digest)
	}
	last, err := start()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.RetirePlaybook(ctx, "looking", api.RetirePlaybook{Reason: "e2e"}); err != nil {
		t.Fatal(err)
	}
	var p *api.Error
	if _, err := start(); !errors.As(err, &p) || p.Code != api.CodeNotFound {
		t.Errorf("a retired playbook starts: %v", err)
	}
	answer(fresh)
	answer(last)
	for _, run := range []string{fresh, last} {
		if is, digest := closing(run); is != "duplicate" || digest != two.Published[0].Digest {
			t.Errorf("%s ended as %s with plan %s", run, is, digest)
		}
	}
	h.brokenFile(c)
}

// brokenFile breaks the file of contain-infected-host, and mends it.
func (h *house) brokenFile(c *api.Client) {
	t, ctx := h.t, h.t.Context()
	book := func(c *api.Client) api.PlaybookDetail {
		d, err := c.Playbook(ctx, "contain-infected-host")
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	was := book(c)
	good, err := os.ReadFile(filepath.Join(h.dir, "contain-infected-host.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	h.write("contain-infected-host.yaml", strings.Replace(string(good), "uses: edr.find_host", "uses: edr.find_hosts", 1))
	told := func(c *api.Client) {
		eventually(t, 30*time.Second, "the fault is told", func() (bool, error) {
			d, err := c.Playbook(ctx, "contain-infected-host")
			return err == nil && len(d.Problems) == 1 && strings.Contains(d.Problems[0], "edr.find_hosts"), err
		})
		if is := book(c); is.Digest != was.Digest || is.Playbook.Version != 1 {
			t.Errorf("a broken file changed what is current: %+v", is)
		}
	}
	told(c)
	h.stop()
	h.start()
	c = h.client()
	told(c)
	if got, err := h.alert("reg-1", "WS-0001"); err != nil || len(got.Runs) != 1 {
		t.Errorf("an alert beside a broken file: %+v, %v", got, err)
	}
	h.write("contain-infected-host.yaml", "# mended\n"+string(good))
	eventually(t, 30*time.Second, "the mended file is published", func() (bool, error) {
		d, err := c.Playbook(context.WithoutCancel(ctx), "contain-infected-host")
		return err == nil && len(d.Problems) == 0 && d.Playbook.Version == 2, err
	})
	d, err := c.PlaybookDiff(ctx, "contain-infected-host", "", "")
	if err != nil || !d.SameMeaning {
		t.Errorf("a comment changes the meaning: %+v, %v", d, err)
	}
}
