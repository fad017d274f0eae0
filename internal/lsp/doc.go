// Package lsp is the language server behind `quell lsp`: the compiler's own
// diagnostics, completion, hover, definitions and the layout, for any editor
// that speaks the Language Server Protocol 3.16.
//
// It answers from the text as it stands, line by line where the text is no YAML
// yet. It keeps open documents in memory, writes nothing and asks no network.
package lsp
