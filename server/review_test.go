package server

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/quell-soar/quell/internal/auth"
	"github.com/quell-soar/quell/internal/ledger"
	"github.com/quell-soar/quell/internal/report"
	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/server/api"
)

func TestReview(t *testing.T) {
	h := open(t)
	token := h.token("ann", []string{"analyst"}, auth.Read, auth.Launch)
	c := h.client(token)
	got, err := c.Start(t.Context(), api.StartRun{Playbook: "contain", Inputs: map[string]json.RawMessage{"hostname": []byte(`"ws-12"`)}, Reason: "<b>x</b>"}, "")
	if err != nil {
		t.Fatal(err)
	}
	for form, want := range map[api.ReviewForm]string{api.ReviewJSON: `"report":1`, api.ReviewHTML: "<!doctype html>", api.ReviewMarkdown: "# Post-incident review"} {
		var b bytes.Buffer
		if err := c.Review(t.Context(), got.Run, form, false, "soc-1:/tmp/<b>x</b>", &b); err != nil || !strings.Contains(b.String(), want) || strings.Contains(b.String(), "<b>x</b>") && form == api.ReviewHTML {
			t.Errorf("%q: %v %s", form, err, b.String())
		}
	}
	status, head, _ := h.raw(http.MethodGet, "/v1/runs/"+got.Run+"/report.html", token, nil, nil)
	if p := head.Get("Content-Security-Policy"); status != 200 || !strings.Contains(p, "sandbox") || !strings.Contains(p, "default-src 'none'") || head.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the page comes with %d %v", status, head)
	}
	wantCode(t, "a review that no step kept", c.Review(t.Context(), got.Run, api.ReviewJSON, true, "", &bytes.Buffer{}), api.CodeNotFound)
	wantCode(t, "no run", c.Review(t.Context(), "contain/m-x/1", api.ReviewJSON, false, "", &bytes.Buffer{}), api.CodeNotFound)

	err = h.rooms.DB.Update(t.Context(), func(tx *store.Tx) error {
		_, err := h.rooms.Ledger.Append(tx, ledger.Row{Kind: "report.made", Tenant: "t", Run: got.Run}, report.Report{Version: 1, Template: "kept"})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := c.Review(t.Context(), got.Run, api.ReviewJSON, true, "", &b); err != nil || !strings.Contains(b.String(), `"template":"kept"`) {
		t.Errorf("the kept review: %v %s", err, b.String())
	}
}
