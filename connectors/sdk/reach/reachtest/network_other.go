//go:build !linux

package reachtest

import "testing"

// InNetwork skips: other systems have no network namespaces.
func InNetwork(t *testing.T, _ func(c *Canary)) {
	t.Helper()
	t.Skip("network namespaces are Linux's")
}
