package expr

import (
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Text is how a template writes a canonical value, as people read it: enums by
// name, timestamps in RFC 3339 and UTC, durations in their shortest form, a
// handle by its label, lists joined with ", ", maps and records as JSON with
// sorted keys. Absent is empty.
func Text(v any) string {
	switch x := v.(type) {
	case nil:
		return ""
	case string:
		return x
	case bool:
		return strconv.FormatBool(x)
	case int64:
		return strconv.FormatInt(x, 10)
	case int:
		return strconv.Itoa(x)
	case float64:
		return strconv.FormatFloat(x, 'g', -1, 64)
	case time.Time:
		return x.UTC().Format(time.RFC3339Nano)
	case time.Duration:
		return kind.FormatDuration(x)
	case kind.Handle:
		if x.Label != "" {
			return x.Label
		}
		return x.ID
	case []any:
		parts := make([]string, len(x))
		for i, e := range x {
			parts[i] = Text(e)
		}
		return strings.Join(parts, ", ")
	}
	raw, err := kind.Canonical(v)
	if err != nil {
		return ""
	}
	return string(raw)
}
