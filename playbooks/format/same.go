package format

import (
	"fmt"
	"maps"
	"strconv"

	"github.com/quell-soar/quell/playbooks/source"
)

// differs compares a document with the one that was read from its layout; "" is
// no difference.
func (d *document) differs(again *document) string {
	if !maps.Equal(d.count, again.count) {
		return "a comment was lost"
	}
	return d.root.differs(again.root)
}

func (e *entry) differs(o *entry) string {
	where := fmt.Sprintf("at line %d", e.value.Span.Start.Line)
	if e.value.IsMap != o.value.IsMap || e.value.IsList != o.value.IsList || len(e.inside) != len(o.inside) {
		return where
	}
	if s, t := e.value.Scalar, o.value.Scalar; s != nil && (t == nil || s.Value != t.Value || number(s) != number(t)) {
		return where
	}
	for i := range e.inside {
		a, b := e.inside[i], o.inside[i]
		if a.key != nil && a.key.Value != b.key.Value {
			return where
		}
		if at := a.differs(b); at != "" {
			return at
		}
	}
	return ""
}

// number reports whether the compiler may take a scalar for a number or a
// boolean: only one without quotes.
func number(s *source.Scalar) bool {
	_, err := strconv.ParseInt(s.Value, 10, 64)
	return s.Style == source.Plain && (err == nil || s.Value == "true" || s.Value == "false")
}
