// Package task is the paper between workflow and activity: names, requests,
// results and the kinds of failure. It is a leaf; both sides import it and
// neither imports the other.
//
// Everything here is written into histories: a field may be added, never
// renamed, retyped or given a new meaning.
package task
