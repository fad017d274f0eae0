// Package sarif writes diagnostics of playbooks as a SARIF 2.1.0 log, the format
// that code scanning services and editors read.
//
// It stands apart from playbooks/diag because the library it uses brings the
// network packages with it, which the language must not.
package sarif
