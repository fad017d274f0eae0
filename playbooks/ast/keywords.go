package ast

import "slices"

// The keys of a playbook, in the order in which they are best written.
var (
	topKeys = []string{
		"quell", "playbook", "title", "description", "owner", "tags", "inputs", "settings", "on", "limits",
		"triage", "contain", "eradicate", "recover", "review", "outputs",
	}
	kindKeys = []string{
		"uses", "do", "call", "parallel", "switch", "ask", "wait", "set", "undo", "report", "note", "fail", "stop",
	}
	modifierKeys = []string{
		"id", "title", "phase", "if", "foreach", "at_once", "on_item_error", "repeat", "approve",
		"timeout", "retry", "on_error", "hold", "undo_with", "accept",
	}
)

// TopKeys returns the keys of a file.
func TopKeys() []string { return slices.Clip(topKeys) }

// Kinds returns the keys that make a step's kind.
func Kinds() []string { return slices.Clip(kindKeys) }

// Modifiers returns the keys that stand beside any kind.
func Modifiers() []string { return slices.Clip(modifierKeys) }

// BodyKeys returns the keys that stand beside a kind and belong to it.
func BodyKeys(kind string) []string {
	switch kind {
	case "uses", "call", "report":
		return []string{"with"}
	case "parallel":
		return []string{"first"}
	case "note":
		return []string{"text"}
	case "switch":
		return []string{"cases", "default"}
	case "ask":
		return []string{"from", "silent", "show", "fields", "subject", "via", "within"}
	}
	return nil
}
