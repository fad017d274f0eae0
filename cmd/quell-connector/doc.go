// Quell-connector holds all connectors that Quell ships. Quell starts one
// process of it for each configured instance and names the connector as first
// argument.
package main
