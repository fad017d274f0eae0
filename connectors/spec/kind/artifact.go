package kind

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// ArtifactOf returns the reference of a content: sha256: and its SHA-256 in hex.
func ArtifactOf(content []byte) string {
	sum := sha256.Sum256(content)
	return ArtifactOfSum(sum[:])
}

// ArtifactOfSum is ArtifactOf for a content that is not held: sum is its SHA-256.
func ArtifactOfSum(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }

// Artifacts returns the references that stand in a canonical value of t, each
// once.
func Artifacts(t Type, v any) []string {
	var out []string
	var walk func(t Type, v any)
	walk = func(t Type, v any) {
		switch x := v.(type) {
		case string:
			if t.Kind == Artifact && !slices.Contains(out, x) {
				out = append(out, x)
			}
		case []any:
			for _, e := range x {
				if t.Elem != nil {
					walk(*t.Elem, e)
				}
			}
		case map[string]any:
			for _, name := range sortedKeys(x) {
				if f, ok := t.Field(name); ok {
					walk(f.Type, x[name])
				} else if t.Elem != nil {
					walk(*t.Elem, x[name])
				}
			}
		}
	}
	walk(t, v)
	return out
}
