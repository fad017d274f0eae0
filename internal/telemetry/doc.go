// Package telemetry is what operators watch Quell by: metrics in a Prometheus
// registry of its own, and traces from an alert to the connector's answer.
//
// # Metrics
//
// Rooms tell what happened through plain functions that internal/serve wires to
// [Metrics]; no room imports this package for it. What stands rather than happens
// (open runs, holds, free disk) is read when somebody scrapes, by one function
// that gives a [State], so that a restart shows no zero that is none.
//
// A label's values are bounded: names that the installation gives (sources,
// playbooks, connectors, actions) are checked against what is installed, all
// others against the lists in this package, and what is unknown counts as
// "other". Hosts, accounts, runs and steps are never labels: attackers choose the
// first, and the last are without end. A run's story is in its trace and in the
// ledger.
//
// # Traces
//
// The ids of a run's trace and of its main spans are hashes of the run's id
// ([TraceOf]). So nothing has to be carried through the store, the workflow's
// history or a restart, workflow code makes no span and stays deterministic, and
// whoever has a run's id can find its trace:
//
//	alert      a source's delivery, until it was stored with its claim
//	└ dispatch until the engine had taken the run
//	  └ run    from the claim to the run's end; sent when it ends
//	    └ quell.act, quell.read …    one activity
//	      └ call ACTION              one call of a connector, its waits included
//	        └ connector ACTION       what its process took, by its own word
//
// Spans carry names of actions, steps and instances, and ids of runs, and never
// inputs, results, targets, texts of errors or secrets.
package telemetry
