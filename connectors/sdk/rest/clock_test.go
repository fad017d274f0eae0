package rest

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	for ahead, want := range map[time.Duration]string{0: "", 30 * time.Second: "", -30 * time.Second: "", 5 * time.Minute: "5m0s ahead of", -5 * time.Minute: "behind"} {
		var c Client
		if f := c.Clock(); !f.OK {
			t.Errorf("before any answer: %+v", f)
		}
		c.watchClock(http.Header{"Date": {time.Now().Add(-ahead).UTC().Format(http.TimeFormat)}})
		c.watchClock(http.Header{"Date": {"nonsense"}})
		if f := c.Clock(); f.OK != (want == "") || !strings.Contains(f.Advice, want) {
			t.Errorf("%s ahead: %+v", ahead, f)
		}
	}
}
