// Package format writes a playbook in its one layout.
//
// The order of keys, the indentation and the quotes follow from what a key is;
// the order of steps, cases, branches and inputs is the author's and stays.
// Comments stay with what they are about. What is written reads as the same
// tree and has the same comments: [Playbook] looks before it gives it away.
// Formatting twice is formatting once.
package format
