package e2e

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/server/api"
)

// holdHost isolates a host and leaves it so.
const holdHost = `quell: 1
playbook: hold-host
title: Isolate a host and hold it
inputs:
  hostname:
    type: hostname
on:
  manual:
    roles: [analyst]
limits:
  edr.isolate_host: 1
triage:
  - id: host
    uses: edr.find_host
    with:
      hostname: ${{ inputs.hostname }}
contain:
  - id: isolate
    uses: edr.isolate_host
    with:
      host: ${{ steps.host.device }}
    hold: { for: 1h, then: ask }
`

// TestUndo holds one host by two runs and undoes them in both orders: it is
// released once, by the last. Contained again after that, it is a new effect. A
// host that was isolated before Quell came stays isolated.
func TestUndo(t *testing.T) {
	alongside(t)
	l := startLab(t)
	l.hostsOf(3)
	l.control("POST", "/hosts", []byte(`{"hosts": [{"hostname": "foreign-1", "state": "contained"}]}`), nil)
	h := newHouse(t, l, "")
	h.playbook("hold-host", holdHost)
	h.start()

	for i, order := range [][2]int{{0, 1}, {1, 0}} {
		host := hostname(i + 1)
		two := [2]string{h.launch("hold-host", host), h.launch("hold-host", host)}
		h.take(two[order[0]])
		if n := l.count("lift", host); n != 0 {
			t.Errorf("%s was released %d times while another run holds it", host, n)
		}
		h.take(two[order[1]])
		if c, r := l.count("contain", host), l.count("lift", host); c != 1 || r != 1 {
			t.Errorf("%s: isolated %d times, released %d times", host, c, r)
		}
		h.take(two[0]) // a second undo of the same run finds nothing to do
		again := h.launch("hold-host", host)
		h.take(again)
		if c, r := l.count("contain", host), l.count("lift", host); c != 2 || r != 2 {
			t.Errorf("%s again: isolated %d times, released %d times", host, c, r)
		}
	}
	h.take(h.launch("hold-host", "foreign-1"))
	if n := l.count("lift", "foreign-1"); n != 0 {
		t.Error("what was isolated before Quell came was released")
	}
	h.auditOK()
}

// playbook adds a playbook to the configuration, in act.
func (h *house) playbook(name, text string) {
	h.t.Helper()
	h.write(name+".yaml", text)
	h.config = strings.Replace(h.config, "playbooks: [contain-infected-host.yaml]", "playbooks: [contain-infected-host.yaml, "+name+".yaml]", 1)
	h.config = strings.Replace(h.config, "playbooks: {contain-infected-host: act}", "playbooks: {contain-infected-host: act, "+name+": act}", 1)
	h.write("quell.yaml", h.config)
}

// launch starts a playbook on a host by hand and waits for its end.
func (h *house) launch(playbook, host string) string {
	h.t.Helper()
	id := h.hand(playbook, host)
	eventually(h.t, 60*time.Second, id+" ends", func() (bool, error) {
		d, err := h.client().Run(h.t.Context(), id)
		if err == nil && d.Status == api.RunEnded && d.Closing != "completed" {
			h.t.Fatalf("%s closed as %s: %s", id, d.Closing, d.Reason)
		}
		return err == nil && d.Status == api.RunEnded, err
	})
	return id
}

// inputsOf is a host as what a playbook on one host takes.
func inputsOf(host string) map[string]json.RawMessage {
	raw, _ := json.Marshal(host) // a text: it cannot fail
	return map[string]json.RawMessage{"hostname": raw}
}

// take undoes a run and waits until that is done.
func (h *house) take(id string) {
	h.t.Helper()
	u, err := h.client().Undo(h.t.Context(), id, api.UndoRun{Reason: "e2e"})
	if err != nil {
		h.t.Fatal(err)
	}
	eventually(h.t, 60*time.Second, u.ID+" ends", func() (bool, error) {
		res, err := h.client().UndoResult(h.t.Context(), u.ID)
		return err == nil && res.Done, err
	})
}

// count says how often an operation changed a host.
func (l *labProcess) count(operation, host string) int {
	l.t.Helper()
	n := 0
	for _, e := range l.effects("operation=" + operation + "&object=" + host) {
		if e.Before != e.After {
			n++
		}
	}
	return n
}
