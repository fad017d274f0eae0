// Package secret holds a secret so that it does not leave by accident: it
// prints, marshals and formats as a fixed mark, and only Reveal gives it away.
package secret
