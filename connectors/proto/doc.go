// Package proto is the wire between the host and a connector process: the gRPC
// service of connector.proto, the handshake both sides must agree on, and the
// conversion of plain values and errors to and from messages.
//
// Authors of connectors do not import it; sdk and host do. A change of a message
// that an older side would misread raises ProtocolVersion; an added field does
// not. A version stays served for as long as a release in use speaks it.
package proto

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative connector.proto
