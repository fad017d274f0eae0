// Package parse reads YAML into the tree of package ast. It is the only package
// that knows YAML.
//
// It is strict: an unknown or repeated key, two kinds in a step, an anchor, an
// alias, a merge key, a tag, a second document are errors, each with its own
// code and cure, and one does not hide the next. What it cannot place it leaves
// absent, so that later stages see the rest of the file.
package parse
