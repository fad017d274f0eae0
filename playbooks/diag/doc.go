// Package diag is what the compiler has to say: diagnostics as data, with a
// stable code, a place and a cure. Rendering is apart, in Render and JSON; a
// diagnostic itself holds no colour and no layout.
package diag
