// Package fakevt is a stateful fake of the part of VirusTotal's API v3 that the
// connector uses: objects with their engines' counts, uploads whose analysis takes
// its time, the errors' form, and quotas that say nothing about when. It shares no
// code with the connector.
//
// Operations, as fault scripts name them: get-file, get-ip, get-domain, get-url,
// upload, get-analysis. Their object is what is asked about.
//
// An uploaded file is malicious where its content has the word EICAR in it, unless
// Seed said otherwise before.
//
// Lags: virustotal.analysis (how long one takes), virustotal.latency (of every
// answer).
package fakevt
