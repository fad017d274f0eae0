// Package signintest runs a certified OpenID Connect provider in a process of its
// own, for the tests of what signs in at one.
package signintest
