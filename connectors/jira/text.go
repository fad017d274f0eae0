package jira

import (
	"strings"
	"unicode"
)

// Jira's limits in characters; the body's leaves room for what is added.
const (
	maxTitle = 255
	maxBody  = 30000
)

// document writes plain text in Atlassian's document format: a paragraph for
// each line, one text node without marks in each. Jira refuses an empty text
// node, so an empty line is an empty paragraph.
func document(text string) map[string]any {
	paragraphs := []any{}
	for line := range strings.SplitSeq(text, "\n") {
		p := map[string]any{"type": "paragraph"}
		if line != "" {
			p["content"] = []any{map[string]any{"type": "text", "text": line}}
		}
		paragraphs = append(paragraphs, p)
	}
	return map[string]any{"type": "doc", "version": 1, "content": paragraphs}
}

// node is what is read of a document.
type node struct {
	Text    string `json:"text"`
	Content []node `json:"content"`
}

// lastLine is the text of a document's last paragraph.
func (n node) lastLine() string {
	if len(n.Content) == 0 {
		return ""
	}
	var b strings.Builder
	n.Content[len(n.Content)-1].write(&b)
	return strings.TrimSpace(b.String())
}

func (n node) write(b *strings.Builder) {
	b.WriteString(n.Text)
	for _, c := range n.Content {
		c.write(b)
	}
}

// printable takes out what could hide or reorder text on a screen: control
// characters other than line ends and tabs, and marks of writing direction.
func printable(s string) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\r\n", "\n")
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case unicode.IsControl(r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x200E, r == 0x200F:
			return -1
		}
		return r
	}, s)
}

// titleOf makes one line that Jira accepts.
func titleOf(s string) string { return cut(strings.Join(strings.Fields(printable(s)), " "), maxTitle) }

// bodyOf makes a text that Jira accepts.
func bodyOf(s string) string { return cut(printable(s), maxBody) }

func cut(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return string(r[:most-1]) + "…"
}

// quoted writes a text as a string of Jira's query language.
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
