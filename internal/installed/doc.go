// Package installed is an installation as a playbook meets it: which instances
// serve which actions in which form, and who can be asked. The server compiles
// against it, and so does quell check: what passes there is loaded here.
package installed
