// Package ast is a playbook as it was written: a typed tree whose every node
// knows where it stands. It is never executed; package compile lowers it to a
// plan.
//
// Scalars keep the text that the author wrote. What a text means is decided by
// the field it stands in, not by YAML's guess: 1234567e12 in a field of type
// hash is a hash.
package ast
