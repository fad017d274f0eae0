// Package guard stands between a decision and its effect: modes, the kill
// switch, what a source may cause, protected assets, conditions, freezes and
// budgets. It is asked inside the admission transaction, so nothing can change
// between its word and the intent.
//
// A guard refuses effects and never an inverse: what was contained can always be
// released. The kill switch alone also puts off an inverse that nobody asked for,
// such as that of a hold whose time is over; a person's goes out.
//
// # What is known of a target
//
// A [Target] carries its kind, the vendor's id and its label. What else a guard
// may ask about (tags, criticality, groups, addresses, whether an account is the
// last administrator) are [Facts], which the caller read just before: this
// package calls nobody. Needs says what to read.
//
// Names, addresses, domains, URLs and senders are compared with what is known:
// what nobody knows of a target cannot protect it. Everything that asks for a
// fact, which are tags, groups, conditions and whether it is the last
// administrator, refuses where the fact is not known; a budget of a class counts
// it in.
package guard
