// Package expr is the expression language of playbooks: CEL, typed, bounded and
// deterministic.
//
// It has two halves. At compile time a [Checker] parses and types one
// expression against an [Env], the names that stand at that place, and tells
// mistakes as [Problem] values with rune offsets into the text. At run time
// [Load] makes programs of a plan's expressions and [Set.Eval] runs them.
//
// Set.Eval is called from Temporal workflow code and is pure: no clock, no
// goroutine, no input besides its arguments. Stock CEL is not deterministic,
// because a comprehension over a map follows Go's random map order, and
// because || and && may absorb an error of the other side. Here every map,
// literals included, is an [orderedMap] that iterates in key order, and || and
// && are rewritten to conditionals, which take operands in order and absorb
// nothing.
//
// Absence is decided statically: an optional name (a step that may not have run,
// an optional field) can be read only where one of the forms in absence.go
// proves that it is there.
package expr
