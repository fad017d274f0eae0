// Package reach says which addresses a connection may go to, and opens
// connections to no other. It is the one rule for Quell's own connections
// (internal/egress) and for those of connectors (connectors/sdk/rest and mail).
//
//   - Link-local addresses, cloud metadata services, reserved blocks and
//     addresses that carry another one inside (IPv4 in IPv6, NAT64, 6to4,
//     Teredo, ISATAP) are refused, whoever asks.
//   - Private and loopback addresses are reached where the configuration names
//     the destination: an appliance on premises is legitimate.
//   - A name is resolved once. All its addresses are checked, and one that may
//     not be reached refuses the name. Then exactly a checked address is
//     dialled, so that a second answer of the name server changes nothing.
//   - A host is written in one way. What other software would read as a number
//     or map to ASCII (0x7f.1, 2130706433, full-width digits) is refused.
//   - No proxy is used, not the environment's either: it would resolve the names,
//     and nothing of this could be checked.
//
// The blocks are those of the IANA IPv4 and IPv6 Special-Purpose Address
// Registries, RFC 6052 (NAT64), RFC 2765 (IPv4-translated), RFC 5214 (ISATAP),
// and the metadata addresses that the clouds document.
package reach
