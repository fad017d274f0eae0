// Package openapi holds what a connector and its fake say to each other against
// the vendor's own description of its API. It is for tests only.
//
//	func start(t testing.TB) *lab {
//		…
//		api := openapi.Load(t, "acme.openapi.json", openapi.Options{})
//		srv := httptest.NewServer(api.Wrap(fake.Handler()))
//
// Each request and each answer that passes is validated: path, parameters,
// statuses, bodies, and every field's name, even where the description would let
// unknown ones pass. An operation that the description lacks is an error unless
// Options.Beyond names it. Main, as the package's TestMain, prints how much was
// validated.
//
// The descriptions are not part of this repository. They are looked for in a
// folder shared/specs beside the repository or above, or where QUELL_SPECS
// says. Where there is none, Load says so and Wrap lets everything pass.
package openapi
