// Command reference serves the reference connector for the suite's own test.
package main

import (
	"github.com/quell-soar/quell/connectors/conformance/internal/reference"
	"github.com/quell-soar/quell/connectors/sdk"
)

func main() { sdk.Serve(reference.Connector{}) }
