// Package schema describes the language as JSON Schema 2020-12, so that editors
// complete and check a playbook as it is typed.
//
// It is made of the shapes of package ast and of the actions' inputs. It knows
// keys, words and forms; what expressions mean, and everything that depends on
// the rest of the playbook, only the compiler knows. Each playbook that compiles
// fits the schema.
package schema
