package config

import (
	"maps"
	"net/url"
	"regexp"
	"slices"

	"github.com/quell-soar/quell/internal/secrets"
)

// Telemetry says where Quell tells of itself, beside its log and GET /v1/metrics.
type Telemetry struct {
	Traces Traces `yaml:"traces"`
}

// Traces sends spans to an OTLP receiver. Without an endpoint none is made.
type Traces struct {
	// Endpoint is the URL that OTLP/HTTP posts spans to, such as
	// https://collector.example:4318/v1/traces. http is for loopback only.
	Endpoint string `yaml:"endpoint"`
	// Headers go with each delivery, by name; their values are secrets.
	Headers map[string]secrets.Ref `yaml:"headers"`
}

// headerForm is a field name of HTTP (RFC 9110, 5.6.2), as far as anybody needs it.
var headerForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

func (k *checker) telemetry(t Traces) {
	if t.Endpoint == "" {
		if len(t.Headers) > 0 {
			k.bad("telemetry.traces.headers", "name telemetry.traces.endpoint too, or remove them", "headers without a receiver")
		}
		return
	}
	u, err := url.Parse(t.Endpoint)
	local := err == nil && u.Scheme == "http" && isLoopback(u.Hostname())
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || (u.Scheme != "https" && !local) {
		k.bad("telemetry.traces.endpoint", "write https://HOST:PORT/v1/traces; http is for a loopback address only, and secrets go under headers", "%s is no URL that spans can go to", short(t.Endpoint))
	}
	for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
		if !headerForm.MatchString(name) {
			k.bad("telemetry.traces.headers."+name, "", "%s is no name of a header", short(name))
		}
	}
}
