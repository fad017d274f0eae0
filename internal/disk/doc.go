// Package disk tells when the disk of the data directory gets full, before it is.
//
// A full disk stops everything, also the record of effects that are under way. So
// below a mark no alert is taken and no run is started; what runs goes on in the
// space that is left and ends in order.
package disk
