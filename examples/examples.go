package examples

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

//go:embed *.yaml
var files embed.FS

// Names lists the example playbooks, sorted.
func Names() []string {
	list, err := fs.Glob(files, "*.yaml")
	if err != nil { // the pattern is a good one
		return nil
	}
	list = slices.DeleteFunc(list, func(name string) bool { return strings.HasSuffix(name, ".test.yaml") })
	for i := range list {
		list[i] = strings.TrimSuffix(list[i], ".yaml")
	}
	return list
}

// Playbook returns the text of an example by its playbook's name, such as
// contain-infected-host.
func Playbook(name string) ([]byte, error) {
	raw, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("there is no example playbook %s", name)
	}
	return raw, nil
}
