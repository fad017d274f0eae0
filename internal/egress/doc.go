// Package egress is the one dialer for connections that Quell itself opens to
// other machines. Connectors run in their own processes and have their own, in
// connectors/sdk/rest.
//
// A connection goes to a named destination and to nothing else. The name is
// resolved once; all its addresses are checked, and one bad address refuses the
// name; then exactly a checked address is dialled, so that a second answer of
// the name server changes nothing. Link-local addresses, cloud metadata services
// and addresses that hide another one are refused whatever the destination
// allows. The environment's proxies are not used.
package egress
