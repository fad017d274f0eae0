// Package alert is the normalised alert: what a playbook's trigger sees under
// `alert`, whatever source it came from. It is a leaf.
//
// Every value in it is hostile: attackers choose hostnames, file names and
// subjects. Normalising checks the form of each (package kind) and drops what
// does not fit, on record; nothing is repaired.
package alert
