// Package message makes the text that notify.send_message sends: a template by
// its name or a text as it is.
//
// A template is plain text. Its first line is the subject, behind an empty line
// comes the body. {name} stands for a value of that name; {{ and }} are braces.
// Values are put in as they are, once: a brace in a value is a brace, and no
// value can name another. A field without a value is an error, so that nobody
// gets a text with a hole.
//
// Templates come from an instance's setting templates; what stands there goes
// before the built-in ones: reported-benign, reported-thanks, reported-phishing.
package message
