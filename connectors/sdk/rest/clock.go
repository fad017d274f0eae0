package rest

import (
	"fmt"
	"net/http"
	"time"

	"github.com/quell-soar/quell/connectors/sdk"
)

// maxSkew is how far the two clocks may be apart: signed requests and tokens
// begin to be refused at minutes, a Date is exact to a second.
const maxSkew = 60 * time.Second

// watchClock keeps how far this machine's clock is ahead of the vendor's, as the
// answer's Date tells.
func (c *Client) watchClock(h http.Header) {
	if at, err := http.ParseTime(h.Get("Date")); err == nil {
		ahead := time.Since(at)
		c.ahead.Store(&ahead)
	}
}

// Clock compares this machine's clock with the vendor's, for a session's Check.
// Without an answer that told the time it is fine: nothing is known against it.
func (c *Client) Clock() sdk.Finding {
	f := sdk.Finding{Name: "clock", OK: true, Advice: "the vendor did not tell the time"}
	ahead := c.ahead.Load()
	if ahead == nil {
		return f
	}
	f.Advice = "within " + maxSkew.String() + " of the vendor's"
	if word := "ahead of"; ahead.Abs() > maxSkew {
		if *ahead < 0 {
			word = "behind"
		}
		f.OK, f.Advice = false, fmt.Sprintf("this machine's clock is %s %s the vendor's, and tokens and signatures will be refused: synchronise it (NTP)", ahead.Abs().Truncate(time.Second), word)
	}
	return f
}
