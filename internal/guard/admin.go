package guard

import "fmt"

// lastAdmin refuses to touch the account without which nobody administers the
// directory. The facts say what the directory knew just before: effects on
// privileged accounts of one instance run one at a time, and each reads them anew
// (Lane).
func (g *Guard) lastAdmin(q Question) *Refusal {
	privileged := 0
	for _, t := range q.Targets {
		if t.Kind != "user" {
			continue
		}
		last, ok := fact(t, "last_admin")
		if !ok {
			return &Refusal{Rule: "protected", Reason: fmt.Sprintf("whether %s is the last administrator is %s", t.Label, t.unknown())}
		}
		if last {
			return &Refusal{Rule: "protected", Reason: t.Label + " is the last administrator; a person must act on it by hand"}
		}
		if p, ok := fact(t, "privileged"); p || !ok {
			privileged++
		}
	}
	if privileged > 1 {
		return &Refusal{Rule: "protected", Reason: fmt.Sprintf("%d administrators in one call: whether one would be left is not known; act on one at a time", privileged)}
	}
	return nil
}

func fact(t Target, name string) (is, known bool) {
	v, ok := t.value(name)
	is, isBool := v.(bool)
	return is, ok && isBool
}

// Lane names what effects on a target wait for beside the target itself, or "":
// those on administrators of one instance come one after the other, or two of
// them could each leave the other as the last.
func (t Target) Lane() string {
	if t.Kind != "user" {
		return ""
	}
	if p, known := fact(t, "privileged"); known && !p {
		return ""
	}
	return "administrators"
}
