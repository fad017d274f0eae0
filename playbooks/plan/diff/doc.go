// Package diff says what changes between two versions of a playbook, from their
// compiled plans: steps that came, went, moved or changed, with the parts that
// matter to whoever must allow the change (what is acted on, who is asked, what
// is held, under which condition), what starts the playbook, and how many targets
// each action can reach.
//
// Of is pure: it reads two plans and touches nothing. A step is known by its id;
// one without an id by its path. Layout and comments change nothing.
package diff
