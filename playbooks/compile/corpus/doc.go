// Package corpus is what the playbooks under playbooks/compile/testdata and in
// examples are compiled against, for the tests of every room that reads them:
// compiler, formatter, graph, schema. Only tests import it.
package corpus
