// Package subject is what the configuration and the guards both know: what a
// condition may read, with its types, and the times of a week in which changes are
// frozen. It is a leaf, so that the configuration can check both without knowing
// the guards.
package subject
