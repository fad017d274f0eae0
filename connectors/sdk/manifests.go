package sdk

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/quell-soar/quell/connectors/spec"
)

// ManifestsFlag as the only argument of a connector binary makes it print the
// manifests of its connectors as a JSON array and end. `quell connector add` asks
// so: nothing is configured yet, and nothing is dialled.
const ManifestsFlag = "--manifests"

func printManifests(w io.Writer, connectors []Connector) error {
	list := make([]spec.Manifest, 0, len(connectors))
	for _, c := range connectors {
		m := c.Manifest()
		if err := m.Validate(); err != nil {
			return err
		}
		list = append(list, m)
	}
	if err := json.NewEncoder(w).Encode(list); err != nil {
		return fmt.Errorf("print the manifests: %w", err)
	}
	return nil
}
