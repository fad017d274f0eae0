//go:build !race

package lsp_test

// slower is how much longer things may take here.
const slower = 1
