// Package compile turns a playbook into a plan.
//
// It runs a fixed list of stages, see stages in compile.go: parse, resolve,
// types, flow, safety, lower. Each reports all it finds and leaves what it
// could not make sense of out, so that later stages tell about the rest. There
// is a plan exactly where no diagnostic is an error.
//
// The compiler is deterministic: the same bytes against the same actions give
// the same plan, byte for byte.
package compile
