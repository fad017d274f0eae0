// Package config reads the installation's configuration: one YAML file, read
// strictly.
//
// An unknown key, a key that stands twice, a value of another form and a name
// that points nowhere are refused with file, line and column, all of them at
// once. Nothing is taken from the environment but what a secret reference names.
// Values keep the text that stands in the file: YAML's guesses (no, 0755, 1e3)
// do not exist here.
//
// This package and playbooks/parse are the only ones that know YAML.
package config
