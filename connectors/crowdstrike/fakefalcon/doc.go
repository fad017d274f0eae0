// Package fakefalcon is a stateful fake of the part of CrowdStrike Falcon's API
// that the connector uses: tokens that expire, containment that takes its time,
// quarantine records, on-demand scans, envelopes that carry errors beside a 2xx,
// and the rate limit's epoch header. It shares no code with the connector.
//
// Operations, as fault scripts name them: token, query-hosts, get-hosts,
// contain, lift, query-files, get-files, update-files, create-scan, query-scans,
// get-scans. Their object is the hostname where there is one.
//
// Lags: crowdstrike.token (a token's life), crowdstrike.containment,
// crowdstrike.quarantine, crowdstrike.scan (how long each takes),
// crowdstrike.latency (of every answer).
package fakefalcon
