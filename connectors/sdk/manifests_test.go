package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"reflect"
	"testing"

	"github.com/quell-soar/quell/connectors/spec"
	"github.com/quell-soar/quell/connectors/spec/kind"
)

type described struct{ m spec.Manifest }

func (d described) Manifest() spec.Manifest                       { return d.m }
func (d described) Open(context.Context, Config) (Session, error) { return nil, nil }

// The manifests come over the output as they are; a broken one is told.
func TestPrintManifests(t *testing.T) {
	good := spec.Manifest{Name: "a", Version: "1.0.0", Settings: []spec.Setting{{Name: "token", Type: kind.Of(kind.String), Secret: true, Doc: "x"}}}
	var b bytes.Buffer
	if err := printManifests(&b, []Connector{described{good}}); err != nil {
		t.Fatal(err)
	}
	var back []spec.Manifest
	if err := json.Unmarshal(b.Bytes(), &back); err != nil || len(back) != 1 || !reflect.DeepEqual(back[0], good) {
		t.Errorf("%v %+v", err, back)
	}
	if err := printManifests(&b, []Connector{described{spec.Manifest{Name: "b"}}}); err == nil {
		t.Error("a manifest without a version was printed")
	}
}
