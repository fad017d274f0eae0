package compile_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/quell-soar/quell/playbooks/compile"
	"github.com/quell-soar/quell/playbooks/source"
)

// alone are steps with one mistake each, nearly all of YAML, marked as those of
// testdata/mistakes are: behind the codes stands the step.
var alone = []string{
	"colon-in-value|  - report: a«:» b\n",
	"colon-in-value|  - if: true ? true «:» false\n    report: a\n",
	"colon-in-value|  - report: a\n      b «:» c: d\n      e: f g\n",
	"flow-braces|  - uses: edr.find_host\n    with: { hostname: «${{» inputs.name }} }\n",
	"flow-braces|  - set: { a: [1, 2], b: x«${{» inputs.name }}y, c: 'd' }\n",
	"flow-braces|  - report: «{{» run.id }} is over\n",
	"tag|  - if: «!has(steps.first)»\n    report: x\n",
	"tag|  - if: «!(inputs.name == \"x\") && true»\n    report: x\n",
	"text-after-quote|  - if: \"a\" «== inputs.name»\n    report: x\n",
	"text-after-bracket|  - if: [\"a\"] «== [inputs.name]»\n    report: x\n",
	"unclosed-quote|  - report: «\"pir»\n    title: x\n",
	"unclosed-quote|  - report: «'it''s»\n    title: \"x\"\n",
	"unclosed-quote|  - set: { a: «'x }»\n",
	"unclosed-bracket|  - wait: «{» for: 1h\n",
	"unclosed-bracket|  - set: { a: «[»1, 2 }\n",
	"unclosed-bracket|  - wait: «{» for: 1h ]\n",
	"missing-comma|  - set: { a: 1 «b»: 2 }\n",
	"colon-in-value|  - set: { a: that one we know«:» it is fine, b: c }\n",
	"no-kind|  - «use»: edr.find_host\n    with: { hostname: \"${{ inputs.name }}\" }\n",
	"missing-colon|  - «set» { a: b, c: d }\n",
	"missing-colon|  - ask: a\n    from: [{ «who» [oncall.soc], within: 1h }]\n",
	"empty-value|  - set: { a: [1,«,» 2] }\n",
	"reserved-character|  - report: «@»home\n",
	"reserved-character|  - set: { a: b «?» c }\n",
	"anchor|  - report: «&a»\n    title: \"b\" \n",
	"bad-escape|  - report: \"C:«\\d»ir ${{ inputs.name }}\"\n",
	"text-after-block|  - report: |« first»\n      second: line\n",
	"text-after-block|  - report: >« first»\n",
	"bad-indentation|  - uses: edr.find_host\n      «with»:\n        hostname: web1\n",
	"bad-indentation|  - report: x\n   «title: y»\n",
	"bad-indentation|  - uses: edr.find_host\n    with:\n      hostname: web1\n    «- report: pir»\n",
	"bad-indentation|  - report: |\n        first\n      «second: line»\n",
	"bad-indentation|  - set: { a: 1 }\n     «title: x»\n",
	"missing-colon|  - report: x\n    «title» y\n",
	"missing-space|  - report: x\n    title«:»y\n    on_error: fail\n",
	"missing-space|  «-»report: pir\n",
	"merge-conflict|«<<<<<<< HEAD»\n  - report: a\n=======\n  - report: b\n    title: c\n>>>>>>> other\n",
	"unknown-action|  - uses: «edr.fnd_host»\n",
	"unknown-input|  - report: ${{ inputs.«nane» }}\n",
	"unknown-key|  - report: pir\n    «tilte»: x\n",
}

// TestMistakesAreToldTogether puts each two steps with a mistake into one
// playbook, around one that is sound, and wants both mistakes and no other.
func TestMistakesAreToldTogether(t *testing.T) {
	failed := 0
	for _, first := range alone {
		for _, second := range alone {
			codes, step, _ := strings.Cut(first, "|")
			more, other, _ := strings.Cut(second, "|")
			m := readMarked(t, first+second, []byte("# want: "+codes+" "+more+" unknown-name\nquell: 1\nplaybook: t\ninputs:\n  name: { type: hostname }\n"+
				"triage:\n  - id: first\n    uses: edr.find_host\n    with: { hostname: \"${{ inputs.name }}\" }\n    on_error: continue\n"+
				step+"  - report: sound\n    title: |\n      a: b\n"+other+"review:\n  - report: ${{ «nothing» }}\n"))
			f := source.NewFile("t.yaml", []byte(m.text))
			_, list := compile.Compile(f, options(m.codes...))
			var got []string
			for _, d := range list {
				got = append(got, fmt.Sprintf("%v-%v %s %q", d.Span.Start, d.Span.End, d.Code, f.Text(d.Span)))
			}
			if diff := cmp.Diff(m.wants, got); diff != "" {
				if failed++; failed < 20 {
					t.Errorf("%s\n(-want +got):\n%s", m.text, diff)
				}
			}
		}
	}
	t.Logf("%d pairs, %d with other findings", len(alone)*len(alone), failed)
}
