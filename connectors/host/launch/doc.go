// Package launch starts, checks and kills one connector process. It knows
// nothing of actions; connectors/host supervises what it starts.
//
// A connector is not trusted. Before it runs, its binary is checked: owner and
// mode of file and directory, and the SHA-256 of the bytes that will run. They
// are copied into sealed memory and run from there (on Linux; elsewhere from a
// private directory), so exchanging the file after the check changes nothing.
//
// The process gets an empty environment but for the handshake, an empty stdin,
// its own process group, no_new_privs, and on kernels with Landlock no file but
// those that name resolution, TLS and the dynamic loader need, no TCP port to
// listen on and no signal to send outside. Both are set on the one locked OS
// thread that starts the process: children inherit them, and a hostile binary
// cannot skip them. The same thread makes Pdeathsig right: the kernel sends it
// when the thread that started the child ends, so that thread lives as long as
// the Launcher, and when the host dies, by whatever signal, so do the children.
//
// What go-plugin leaves open is closed here: its broker is cut off, the address
// of the handshake must lie in our own directory, messages are capped, every
// line of output is cut, counted and cleaned of secrets, and a frozen process is
// killed by our own timer before Client.Kill may wait for it.
//
// Not covered: a grandchild that leaves the process group keeps its confinement
// but outlives the connector; and where the kernel has no Landlock, files that
// the host's user may read can be read.
package launch
