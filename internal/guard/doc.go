// Package guard stands between a decision and its effect: modes, the kill
// switch, freezes and protected assets. It is asked inside the admission
// transaction, so nothing can change between its word and the intent.
//
// A guard refuses effects and never an inverse: what was contained can always be
// released.
package guard
