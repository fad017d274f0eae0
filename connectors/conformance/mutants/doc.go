// Package mutants tries the conformance suite on broken connectors.
//
// A suite is worth what it finds. So each shipped connector has six planted
// faults in testdata/mutants/FAULT.txtar, each a mistake that somebody who
// writes a connector makes: the confirming read left out, a 2xx taken for
// success, "it was so already" told as a failure, the prior state dropped, the
// second page of an answer lost, a token in a message. The test here builds the
// connector with one fault at a time and demands that TestConformance of that
// package turns red.
//
// A file's comment says what is planted. Its sections come in pairs, FILE.go/from
// and FILE.go/to: a text that stands exactly once in that file of the connector,
// and what takes its place. A file without sections whose comment begins with
// "none:" says why this vendor cannot have the fault.
//
// The files are checked by every `go test`; the connectors are built and tried by
// `make mutants`, which prints the table.
package mutants
