// Command quell checks, serves and drives playbooks. The commands and the wiring
// live in internal/app; see docs/cli.md.
package main
