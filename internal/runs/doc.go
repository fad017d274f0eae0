// Package runs keeps what stands before and after a run: the alert that came,
// the claim that it made, the plan that it runs, how it ended. Temporal decides
// how a run goes; here it is decided that there is exactly one.
//
// A claim is about (tenant, playbook, SHA-256 of the once_per value). Its row is
// locked while the claim is decided, so two alerts about one thing cannot both
// start a run, in one process or in ten. The decision:
//
//	a run about it lives                      → join it
//	one ended within quiet, and the alert is
//	not graver, names nothing new, and that
//	run did its work                          → silenced, with the reason kept
//	else                                      → a run of the next generation
//
// A record is complete at its claim: plan, inputs, settings and bindings are
// those of that moment, whatever is edited before the dispatcher starts it.
package runs
