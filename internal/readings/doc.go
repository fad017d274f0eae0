// Package readings keeps what connectors answered to the reads of runs, whole and
// apart from histories: a history has only the fields that one version of a playbook
// read, and is gone after Temporal's retention. A backtest answers the reads of a new
// version from here.
//
// It is no evidence and no part of the ledger. Answers are written behind the run, in
// batches, so that no read waits for a disk: what was not written yet when a process
// died is missing, and a backtest says so.
package readings
