// Package intake receives alerts. It checks the signature over the raw body,
// normalises the body into an [alert.Alert], matches it against the triggers of
// the active playbooks, and stores the alert and its claims on runs in one
// transaction. What it acknowledged is never lost; what it saw twice starts
// nothing twice.
//
// Everything in an alert is hostile. Each value has the form of its kind or is
// dropped on record; nothing is repaired, unescaped or evaluated. An alert
// starts a run only through a playbook's own trigger, with inputs that were
// checked against their types.
//
// The order of the defences matters: headers and length before the body is
// read, the signature before anything else is believed (an unsigned flood must
// not use up a source's rate), the rate before parsing.
package intake
