package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// NewConnector is a connector instance to add to a configuration's text. Secrets
// are references as they stand in the file.
type NewConnector struct {
	Connector string
	Settings  map[string]string
	Secrets   map[string]string
}

// NewSource is a sender of alerts to add to a configuration's text.
type NewSource struct {
	Kind SourceKind
	// Secret is a reference as it stands in the file.
	Secret string
}

// AddConnector writes an instance, in observe mode, into a configuration's text.
// Every other byte of it stays, comments included. It refuses an instance that is
// there, and a text in which it cannot find the place; its error then says what to
// write by hand.
func AddConnector(text []byte, name string, c NewConnector) ([]byte, error) {
	block := []string{name + ":", "  connector: " + scalar(c.Connector), "  mode: observe"}
	for _, part := range []struct {
		key    string
		values map[string]string
	}{{"settings", c.Settings}, {"secrets", c.Secrets}} {
		if len(part.values) == 0 {
			continue
		}
		block = append(block, "  "+part.key+":")
		for _, k := range slices.Sorted(maps.Keys(part.values)) {
			block = append(block, "    "+k+": "+scalar(part.values[k]))
		}
	}
	return add(text, "connectors", name, block)
}

// AddSource writes a sender of alerts into a configuration's text, as AddConnector
// does an instance.
func AddSource(text []byte, name string, s NewSource) ([]byte, error) {
	return add(text, "sources", name, []string{name + ":", "  kind: " + scalar(string(s.Kind)), "  secrets: [" + scalar(s.Secret) + "]"})
}

var plainScalar = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)

// scalar writes a text as YAML: bare where that is sure to be a text, else as
// JSON, which YAML reads.
func scalar(s string) string {
	if plainScalar.MatchString(s) {
		return s
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if enc.Encode(s) != nil {
		return `""`
	}
	return strings.TrimSpace(b.String())
}

// add puts an entry into the map under a key of the root, and proves that it is
// the only difference.
func add(text []byte, key, name string, block []string) ([]byte, error) {
	old, err := parse("configuration", text)
	if err != nil {
		return nil, fmt.Errorf("the configuration cannot be read as it is: %w", err)
	}
	if has(old, key, name) {
		return nil, fmt.Errorf("%s has %s already; choose another name, or change it there", key, name)
	}
	byHand := func(why string) error {
		return fmt.Errorf("%s; write it by hand:\n%s:\n  %s", why, key, strings.Join(block, "\n  "))
	}
	out, err := insert(text, key, block)
	if err != nil {
		return nil, byHand(err.Error())
	}
	now, err := parse("configuration", out)
	if err != nil || !has(now, key, name) {
		return nil, byHand("the place for it in the configuration cannot be found")
	}
	remove(now, key, name)
	old.places, now.places = nil, nil
	if !reflect.DeepEqual(tidy(old), tidy(now)) {
		return nil, byHand("it would change another part of the configuration")
	}
	return out, nil
}

func has(c *Config, key, name string) bool {
	if key == "sources" {
		_, ok := c.Sources[name]
		return ok
	}
	_, ok := c.Connectors[name]
	return ok
}

func remove(c *Config, key, name string) {
	if key == "sources" {
		delete(c.Sources, name)
		return
	}
	delete(c.Connectors, name)
}

// tidy makes an empty map and none the same.
func tidy(c *Config) *Config {
	if len(c.Sources) == 0 {
		c.Sources = nil
	}
	if len(c.Connectors) == 0 {
		c.Connectors = nil
	}
	return c
}

var errFlow = errors.New("the configuration is written in one line of braces there")

// insert finds the place of the block: behind the last entry of the key's map, or
// at the end of the text where there is no such key.
func insert(text []byte, key string, block []string) ([]byte, error) {
	r := &reader{places: map[string]Place{}}
	root, ok := r.document(text)
	if !ok {
		return nil, errors.New("the configuration is no YAML")
	}
	ending := "\n"
	if bytes.Contains(text, []byte("\r\n")) {
		ending = "\r\n"
	}
	lines := strings.SplitAfter(string(text), "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += ending
	}
	at, head, indent, err := placeFor(root, key, lines)
	if err != nil {
		return nil, err
	}
	var added []string
	if head != "" {
		added = append(added, head+ending)
	}
	for _, l := range block {
		added = append(added, strings.Repeat(" ", indent)+l+ending)
	}
	return []byte(strings.Join(slices.Concat(lines[:at], added, lines[at:]), "")), nil
}

// placeFor is before which line, counted from 0, the block stands, under what head
// if one is needed, and how far in.
func placeFor(root *yaml.Node, key string, lines []string) (at int, head string, indent int, err error) {
	if root == nil {
		return len(lines), key + ":", 2, nil
	}
	if root.Kind != yaml.MappingNode || root.Style&yaml.FlowStyle != 0 {
		return 0, "", 0, errFlow
	}
	for i := 0; i+1 < len(root.Content); i += 2 {
		k, v := root.Content[i], root.Content[i+1]
		if k.Value != key {
			continue
		}
		empty := v.Kind == yaml.MappingNode && len(v.Content) == 0
		switch {
		case empty && v.Line == k.Line && strings.Count(lines[k.Line-1], "{}") == 1:
			lines[k.Line-1] = strings.Replace(lines[k.Line-1], " {}", "", 1)
			return k.Line, "", k.Column + 1, nil
		case v.Kind != yaml.MappingNode || v.Style&yaml.FlowStyle != 0 || len(v.Content) == 0:
			return 0, "", 0, errFlow
		}
		end := len(lines)
		if i+2 < len(root.Content) {
			end = root.Content[i+2].Line - 1
		}
		// Blank lines and comments at the margin belong to what comes next.
		for end > v.Content[len(v.Content)-2].Line && marginal(lines[end-1]) {
			end--
		}
		return end, "", v.Content[0].Column - 1, nil
	}
	column := 0
	if len(root.Content) > 0 {
		column = root.Content[0].Column - 1
	}
	return len(lines), strings.Repeat(" ", column) + key + ":", column + 2, nil
}

func marginal(line string) bool {
	return strings.TrimSpace(line) == "" || line[0] == '#'
}
