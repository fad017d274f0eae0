package report_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"github.com/quell-soar/quell/internal/report"
)

// hostile are texts that attackers have put into hostnames, subjects and paths.
var hostile = []string{
	`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</title></style><svg onload=alert(1)>`, `{{.}}`, `<!--`, `]]>`,
	"[click](https://evil.example)", "![x](https://evil.example/x.png)", "a | b\n|---|---|\n| c | d |", "# head\n\n- item", "`` ` `code`", "```\nx\n```",
	"<https://evil.example>", "https://evil.example @everyone", "\x1b[2J\x00\x07", "\u202eexe.fdp", "\u2066hidden\u2069", "a\u200bb\ufeff", "\U000e0041tag",
	strings.Repeat("\u0336", 40) + "zalgo", "\xff\xfe broken", strings.Repeat("A", 9000), "javascript:alert(1)", "' onmouseover='alert(1)",
}

func TestHostileText(t *testing.T) {
	for _, text := range hostile {
		r := full(t, "MARK"+text+"MARK").build()
		t.Run("", func(t *testing.T) { checkPage(t, r); checkMarkdown(t, r) })
	}
}

// FuzzSinks holds the same for any text.
func FuzzSinks(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		s = "MARK" + s + "MARK"
		r := &report.Report{
			Run:       report.Run{ID: s, Playbook: s, Title: s, Owner: s, Incident: s, Severity: s, Mode: s, Reason: s, Closing: "failed", Inputs: []byte(s), Tags: []string{s}},
			Alerts:    []report.Alert{{Title: s, Source: s, SourceID: s, Severity: s, Names: []string{s}}},
			Effects:   []report.Effect{{Phase: s, Step: s, Action: s, Title: s, Instance: s, Targets: []string{s}, With: []string{s}, Gave: []string{s}, Result: []string{s}, Outcome: "done", Detail: s, Approved: []string{s}, Unasked: s, Undos: []report.Undo{{By: s, Outcome: "done", Detail: s}}}},
			Decisions: []report.Decision{{Kind: "approval", Asked: s, Because: s, Facts: []string{s}, Seals: []string{s}, Chain: []string{s}, Decision: "approved", Votes: []report.Vote{{Actor: s, Word: "approved", Reason: s, As: []string{s}, Answer: []byte(s), Refused: s}}}},
			Open:      []report.Open{{Kind: "held", What: s, Targets: []string{s}, Do: s}},
			Timeline:  []report.Event{{Who: s, What: s, About: s, Step: s}},
			Phases:    []report.Phase{{Name: "contain", Steps: []report.Step{{Path: s, Title: s, Outcome: s, Detail: s, If: s, Facts: []string{s}}}}},
			Verdict:   report.Verdict{Word: "benign", By: s, Why: s},
			InForce:   []report.InForce{{Title: s, Targets: []string{s}, Step: s, Note: s}},
			Written:   &report.Written{By: s, Place: s},
		}
		checkPage(t, r)
		checkMarkdown(t, r)
	})
}

// allowed are the elements of the page; none of them runs, loads or leads away.
var allowed = map[string]bool{}

func init() {
	for name := range strings.FieldsSeq("html head meta title style body main header section p h1 h2 h3 span ul li div b small svg rect i table thead tbody tr th td br dl dt dd time pre footer code") {
		allowed[name] = true
	}
}

func checkPage(t *testing.T, r *report.Report) {
	t.Helper()
	var b bytes.Buffer
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	z := html.NewTokenizer(bytes.NewReader(b.Bytes()))
	style, inStyle := "", false
	var policy string
	for {
		switch z.Next() {
		case html.ErrorToken:
			sum := sha256.Sum256([]byte(style))
			if !strings.Contains(policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'") {
				t.Errorf("the policy %q is not for the style of the page", policy)
			}
			return
		case html.CommentToken:
			t.Errorf("a comment stands in the page: %q", z.Raw())
		case html.TextToken:
			if inStyle {
				style += string(z.Raw())
				continue
			}
			harmless(t, html.UnescapeString(string(z.Raw())))
		case html.StartTagToken, html.SelfClosingTagToken:
			tok := z.Token()
			if !allowed[tok.Data] {
				t.Errorf("the page has an element %s: %v", tok.Data, tok)
			}
			inStyle = tok.Data == "style"
			for _, a := range tok.Attr {
				switch a.Key {
				case "class", "lang", "charset", "name", "content", "http-equiv", "dir", "datetime", "viewbox", "preserveaspectratio", "role", "aria-label", "x", "y", "width", "height":
				default:
					t.Errorf("%s has an attribute %s=%q", tok.Data, a.Key, a.Val)
				}
				if a.Key == "content" && strings.Contains(a.Val, "default-src 'none'") {
					policy = a.Val
				}
				if strings.Contains(a.Val, "MARK") {
					t.Errorf("text from outside stands in an attribute: %s=%q", a.Key, a.Val)
				}
			}
		case html.EndTagToken:
			inStyle = false
		}
	}
}

// harmless holds that nothing in a text is hidden or moves what stands beside it.
func harmless(t *testing.T, s string) {
	t.Helper()
	for _, r := range s {
		if r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) {
			t.Errorf("a hidden character %U stands in %q", r, s)
		}
	}
}

// checkMarkdown holds that text from outside stands in code spans alone. It reads
// them as CommonMark does: a run of backticks ends at the next run of that length.
func checkMarkdown(t *testing.T, r *report.Report) {
	t.Helper()
	var b bytes.Buffer
	if err := r.Markdown(&b); err != nil {
		t.Fatal(err)
	}
	harmless(t, b.String())
	for line := range strings.SplitSeq(b.String(), "\n") {
		if strings.HasPrefix(line, "    ") { // an indented code block, of our own words
			if strings.Contains(line, "MARK") {
				t.Errorf("text from outside stands in a block: %q", line)
			}
			continue
		}
		if rest := outside(line); strings.Contains(rest, "MARK") || strings.ContainsAny(rest, "<>[]|`") {
			t.Errorf("outside code spans: %q of %q", rest, line)
		}
	}
}

// outside is a line without its code spans.
func outside(line string) string {
	var out strings.Builder
	for line != "" {
		at := strings.IndexByte(line, '`')
		if at < 0 {
			out.WriteString(line)
			break
		}
		out.WriteString(line[:at])
		n := len(line[at:]) - len(strings.TrimLeft(line[at:], "`"))
		rest, found := line[at+n:], false
		for i := 0; i < len(rest); {
			if rest[i] != '`' {
				i++
				continue
			}
			k := len(rest[i:]) - len(strings.TrimLeft(rest[i:], "`"))
			if i += k; k == n {
				line, found = rest[i:], true
				break
			}
		}
		if !found {
			out.WriteString(line[at:])
			break
		}
	}
	return out.String()
}
