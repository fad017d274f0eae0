// Package conformance is the one suite that every connector passes. It holds a
// connector to what package spec promises of it, twice: in process, where it
// also sees what the sdk's redaction would hide, and, with a binary, over the
// real wire through the host.
//
// A connector's test names its fake vendor and one sample for each action:
//
//	func TestConformance(t *testing.T) {
//		conformance.Run(t, conformance.Target{
//			Connector: acme.Connector{},
//			Lookup:    vocabulary.Lookup,
//			Start:     startFake,
//			Samples: map[string]conformance.Sample{
//				"edr.find_host": {
//					Inputs:  map[string]any{"hostname": "ws-1"},
//					Missing: map[string]any{"hostname": "nobody"},
//				},
//				"edr.isolate_host": {
//					Inputs: map[string]any{"host": conformance.Found{
//						Action: "edr.find_host", Inputs: map[string]any{"hostname": "ws-1"}, Output: "device",
//					}},
//				},
//			},
//			Faults: conformance.Faults{RateLimited: "429 after 2s", Lost: "…"},
//		})
//	}
//
// Each check runs against a fresh fake. The checks stand in the order in which
// they are run, in the list of checks.go, with what each demands.
//
// To add a check: write a function on probe, put it into that list, and plant
// the fault that it finds into the reference connector of this package's tests.
package conformance
