// Package failpoint ends the process at named places, for the tests that ask
// what a crash just there leaves behind.
//
// A program built as usual has no failpoints: Here and Soon are empty, and the
// compiler takes the calls out. Built with -tags failpoint, a program reads one
// place from QUELL_FAILPOINT when it starts, as PLACE{@PART}: there it ends
// itself with SIGKILL, once what it works on has every PART in its name. Nothing
// is flushed and nothing is cleaned up, as with a power cut of the process.
package failpoint
