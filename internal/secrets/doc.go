// Package secrets resolves references to secrets. A configuration names a secret
// and never holds one: "env:NAME" is a variable of Quell's own environment,
// "file:PATH" a file that only Quell's user and root can read.
//
// A secret is resolved when it is needed and again at the next time. The connector
// host asks every few seconds and starts a connector anew whose secret was changed;
// what else uses one gets a changed one at its next start. No error quotes
// a secret, nor the text of a reference that may be a secret written by mistake.
package secrets
