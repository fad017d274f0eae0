// Package kind is the type system that actions, alerts and the playbook
// language share: which kinds of value exist, how each stands in Go, in JSON
// and in a playbook's text, and which texts a kind accepts.
//
// It is a leaf: it imports nothing of ours. A connector author meets it in the
// fields of an action; the compiler checks expressions against it; the host
// checks every request and reply against it.
//
// How a value stands in Go ("canonical value"):
//
//	string, hostname, ip, … (all text kinds)   string
//	severity, criticality, choice              string (the name)
//	int                                        int64
//	double                                     float64 (finite)
//	boolean                                    bool
//	timestamp                                  time.Time in UTC
//	duration                                   time.Duration
//	list<T>                                    []any
//	map<T>, record                             map[string]any
//	a handle (device, user, ticket …)          Handle, with facts for some names
//	absent                                     nil
//
// [Encode] writes a canonical value as JSON with sorted keys, one byte form for
// one value; [Decode] is its inverse and refuses everything that does not fit.
package kind
