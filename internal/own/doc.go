// Package own serves the actions on what Quell itself keeps, such as the alerts
// of a run. They look like those of a connector instance named quell, go through
// the same admission and into the same record, and run in this process: there is
// no vendor behind them and no secret, and the store is the world they change.
package own
