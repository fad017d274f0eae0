package api

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// Metrics are the figures of a server now, by name with labels as OpenMetrics
// writes them: quell_data_bytes{part="store"}.
type Metrics map[string]float64

// Metrics reads the server's metrics. It takes the values only.
func (c *Client) Metrics(ctx context.Context) (Metrics, error) {
	res, err := c.send(ctx, c.call, http.MethodGet, "/v1/metrics", nil, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	out := Metrics{}
	lines := bufio.NewScanner(res.Body)
	for lines.Scan() {
		line := lines.Text()
		cut := strings.LastIndexByte(line, ' ')
		if cut < 0 || line[0] == '#' {
			continue
		}
		if v, err := strconv.ParseFloat(line[cut+1:], 64); err == nil {
			out[line[:cut]] = v
		}
	}
	if err := lines.Err(); err != nil {
		return nil, &Unreachable{Where: c.where, Err: fmt.Errorf("the metrics broke off: %w", err)}
	}
	return out, nil
}
