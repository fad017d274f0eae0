// Package fakejira is a stateful fake of the part of Jira Cloud's API v3 that
// the connector uses: issues that a second create makes a second time, a search
// whose index lags while reading by key does not, comments, attachments,
// properties, transitions, Basic authentication and its 429. It shares no code with the
// connector.
//
// Operations, as fault scripts name them: myself, create, get, search,
// transitions, transition, comments, comment, attach, get-property,
// set-property. Their
// object is the key where there is one, the project's at create.
//
// Lags: jira.search (until a new issue is found by its labels), jira.latency.
package fakejira
