// Package e2e tries the product as it is shipped: the built programs, each in
// its own process, against the stateful fakes in theirs. Its tests kill, freeze
// and starve them and compare the fakes' world with what the plans asked for.
//
// The short form of each test runs with `make test`; `make soak` runs the full
// figures (QUELL_SOAK=1) and prints seed, counts and the command to repeat.
package e2e
