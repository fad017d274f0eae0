// Package virustotal connects VirusTotal through its API v3: look-ups of hashes,
// addresses, domains and URLs, and the analysis of files.
//
// A look-up tells VirusTotal what is looked up and hands nothing in: a URL is
// asked for by its identifier and not submitted. A thing that VirusTotal does not
// know (404) is unknown, not clean.
//
// Handing a file in shows it to VirusTotal's customers. So sandbox.detonate does
// that only where the setting submit says so; else it knows what was analysed
// before and refuses the rest. A file's SHA-256 is its identity there, so handing
// it in twice is handing it in once, and a lost answer is found again by it. Its
// name is not passed on.
//
// Facts are from VirusTotal's API v3 reference. A used-up quota is HTTP 429 with
// QuotaExceededError, for the minute and the day alike, and without a header that
// says when to come back.
package virustotal
