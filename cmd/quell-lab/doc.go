// Quell-lab serves stateful fakes of the vendors on the loopback interface, for
// demos, trials and load tests. It prints one line of JSON with its URLs when it
// is ready, and ends on an interrupt:
//
//	quell-lab --data lab --script faults.txt
//	{"crowdstrike":"http://127.0.0.1:1234/falcon","jira":"http://127.0.0.1:1234/jira","control":"http://127.0.0.1:1234/_lab"}
//
// Package fake tells the grammar of the script, package lab the control API.
// --world FILE gives the hosts and files to begin with, in the control API's words.
package main
