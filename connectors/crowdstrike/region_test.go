package crowdstrike

import (
	"net/http"
	"testing"
)

func TestRegionNamesOnlyFalconsOwnHosts(t *testing.T) {
	for name, want := range map[string]string{
		"eu-1": "https://api.eu-1.crowdstrike.com", "US-2": "https://api.us-2.crowdstrike.com", "evil.example": "", "": "",
	} {
		got, err := region(http.Header{"X-Cs-Region": {name}, "Location": {"https://evil.example/"}})
		switch {
		case want == "" && err == nil:
			t.Errorf("region %q leads to %s", name, got)
		case want != "" && (err != nil || got.String() != want):
			t.Errorf("region %q leads to %v, %v; want %s", name, got, err, want)
		}
	}
}

func TestLiteralKeepsAHostileNameAValue(t *testing.T) {
	for in, want := range map[string]string{
		`web-01`: `'web-01'`, `o'brien`: `'o\'brien'`, `x\'+hostname:'*`: `'x\\\'+hostname:\'*'`,
	} {
		if got := literal(in); got != want {
			t.Errorf("%s became %s, want %s", in, got, want)
		}
	}
}
