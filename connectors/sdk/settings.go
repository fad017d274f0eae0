package sdk

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/quell-soar/quell/connectors/sdk/secret"
	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

// SettingsType is the record of a connector's settings that are no secrets, as
// they cross the wire. A setting with a default is always there.
func SettingsType(m spec.Manifest) kind.Type {
	var fields []kind.Field
	for _, s := range m.Settings {
		if s.Secret {
			continue
		}
		fields = append(fields, kind.Field{Name: s.Name, Type: s.Type, Optional: s.Optional && s.Default == ""})
	}
	return kind.RecordOf(fields...)
}

// ParseSettings reads the texts of a configuration by the manifest's types and
// fills in defaults. A list or map is written as JSON. The error names the
// setting; it quotes no secret, because a secret is refused here.
func ParseSettings(m spec.Manifest, texts map[string]string) (map[string]any, error) {
	known := map[string]bool{}
	out := make(map[string]any, len(m.Settings))
	for _, s := range m.Settings {
		known[s.Name] = true
		text, given := texts[s.Name]
		switch {
		case s.Secret && given:
			return nil, fmt.Errorf("setting %s of connector %s is a secret: give a reference to it (env:, file:), not its text", s.Name, m.Name)
		case s.Secret:
			continue
		case !given && s.Default != "":
			text = s.Default
		case !given && s.Optional:
			continue
		case !given:
			return nil, fmt.Errorf("connector %s needs the setting %s (%s): set it", m.Name, s.Name, s.Type)
		}
		v, err := parseSetting(s.Type, text)
		if err != nil {
			return nil, fmt.Errorf("setting %s of connector %s: %w", s.Name, m.Name, err)
		}
		out[s.Name] = v
	}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		if !known[name] {
			return nil, fmt.Errorf("connector %s has no setting %q; it has %s", m.Name, name, settingNames(m))
		}
	}
	return out, nil
}

func parseSetting(t kind.Type, text string) (any, error) {
	switch t.Kind {
	case kind.List, kind.Map, kind.Record:
		return kind.Decode(t, []byte(text))
	}
	return kind.Parse(t, text)
}

// CheckSecrets reports the first secret that is missing or not asked for.
func CheckSecrets(m spec.Manifest, secrets map[string]secret.Value) error {
	known := map[string]bool{}
	for _, s := range m.Settings {
		if !s.Secret {
			continue
		}
		known[s.Name] = true
		if v, ok := secrets[s.Name]; (!ok || v.Empty()) && !s.Optional {
			return fmt.Errorf("connector %s needs the secret %s: give a reference to it (env:, file:)", m.Name, s.Name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(secrets)) {
		if !known[name] {
			return fmt.Errorf("connector %s asks for no secret %q; take it out of the configuration", m.Name, name)
		}
	}
	return nil
}

func settingNames(m spec.Manifest) string {
	names := make([]string, 0, len(m.Settings))
	for _, s := range m.Settings {
		names = append(names, s.Name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
