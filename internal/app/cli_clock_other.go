//go:build !linux

package app

func (d *doctor) clock() { d.warn("clock", "this system does not tell whether it is synchronised") }
