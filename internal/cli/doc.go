// Package cli is the command line of quell. A command takes its context, input,
// outputs and arguments from [Main] and answers with an error that carries the
// exit code, so that every command runs in a test as it runs in a shell.
//
// check and audit verify work offline, serve is handed in; all else is a client
// of the API and opens no store.
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
package cli
