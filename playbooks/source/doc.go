// Package source holds the text of a playbook and says where things stand in it.
//
// Lines and columns are 1-based. A column counts characters (runes), not bytes
// and not cells of a terminal: that is what editors show and what YAML's and
// CEL's own positions count. Offsets are bytes from 0, for slicing.
//
// A [Scalar] maps places within a YAML scalar's decoded value back to the file:
// through quotes, escapes, block indentation and folding. It is a leaf.
package source
