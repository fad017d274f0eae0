// Package reachtest tries dialers against addresses that nobody may reach: the
// forms in which such an address is written, and a network in which every
// address there is leads to one listener that counts. It is for tests.
package reachtest
