// Package fakesplunk is a stateful fake of the part of Splunk's REST API that the
// connector uses: saved searches with arguments, jobs that take their time, pages
// that are smaller than asked for, and failures within a success. It shares no
// code with the connector.
//
// Operations, as fault scripts name them: server-info, get-saved, dispatch,
// get-job, get-results, end-job. Their object is the saved search where there is
// one.
//
// Lags: splunk.search (how long one takes), splunk.latency (of every answer).
package fakesplunk
