// Package backtest gathers what was recorded of alerts and runs and has package
// workflows/rehearse play it through a new version of a playbook. It reads the store
// and writes nothing; it knows no connector.
package backtest
