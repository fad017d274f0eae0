package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Place is a line and a column, both from 1. The zero Place is nowhere.
type Place struct{ Line, Column int }

// Problem is one thing that is wrong with a configuration.
type Problem struct {
	File string
	Place
	// Message says what is wrong. It quotes no value of a key that takes a secret.
	Message string
	// Help says what to do next, or is empty.
	Help string
}

// String writes file:line:col: message; help.
func (p Problem) String() string {
	var b strings.Builder
	if p.File == "" {
		p.File = "command line"
	}
	b.WriteString(p.File)
	if p.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", p.Line, p.Column)
	}
	b.WriteString(": " + p.Message)
	if p.Help != "" {
		b.WriteString("; " + p.Help)
	}
	return b.String()
}

// Error is every problem of one configuration, in the order of the file.
type Error struct{ Problems []Problem }

// Error writes one problem a line.
func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// problems collects.
type problems struct {
	file string
	list []Problem
}

func (p *problems) add(at Place, help, format string, args ...any) {
	p.list = append(p.list, Problem{File: p.file, Place: at, Message: fmt.Sprintf(format, args...), Help: help})
}

// err returns what was collected, sorted, or nil.
func (p *problems) err() error {
	if len(p.list) == 0 {
		return nil
	}
	slices.SortStableFunc(p.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return &Error{Problems: slices.Compact(p.list)}
}
