// Package fakepanos is a stateful fake of the part of PAN-OS's XML API that the
// connector uses: keys that expire, tags of addresses, a candidate and a running
// configuration with who changed what, commits as jobs, locks of other
// administrators, and errors within HTTP 200. It shares no code with the
// connector.
//
// Operations, as fault scripts name them: keygen, show-tags, user-id, show
// (running configuration), get (candidate), set, delete, commit, show-job,
// show-jobs, show-system. Their object is the address or the entry where there is
// one.
//
// Lags: panos.commit (how long a commit takes), panos.latency (of every answer).
package fakepanos
