package ast

import "github.com/quell-soar/quell/playbooks/source"

// Silence is a comment that allows a warning:
//
//	# quell: allow CODE because REASON
//
// Behind something on its line it is about that line; on a line of its own it
// is about the next line that says something. A value that begins on that line
// belongs to it to its end, so that a block of text can be silenced too.
type Silence struct {
	// Span is the comment without its #.
	Span source.Span
	// Code and Reason are as written; "" where they are missing.
	Code   string
	Reason string
	// CodeSpan is where Code stands; the whole comment where it is missing.
	CodeSpan source.Span
	// First and Last are the lines that it is about; 0 where there is none.
	First, Last int
}
