// Package app is the program behind cmd/quell: the command line, and the wiring
// of the rooms that `quell serve` runs.
//
// A command takes its context, arguments, input and outputs from [Env] and
// answers with an error; [Program.Run] prints it and turns it into an exit
// code. So every command runs in a test as it runs in a shell. Beside check,
// audit verify, config check and doctor's own looks, a command is a client of
// the API and opens no store.
//
// Exit codes:
//
//	0    ok
//	1    findings, or a run that failed
//	2    wrong use
//	3    refused or denied
//	4    unreachable, or not ready
//	5    the outcome is not known
//	130  interrupted
//
// Text from the server may have come from an attacker. In text output every
// control character is shown as a dot, so that none reaches the terminal.
package app
