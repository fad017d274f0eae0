package examples

import (
	"embed"
	"fmt"
)

//go:embed *.yaml
var files embed.FS

// Playbook returns the text of an example by its playbook's name, such as
// contain-infected-host.
func Playbook(name string) ([]byte, error) {
	raw, err := files.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("there is no example playbook %s", name)
	}
	return raw, nil
}
