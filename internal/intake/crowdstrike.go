package intake

import (
	"encoding/json"
	"strings"

	"github.com/quell-soar/quell/connectors/spec/kind"
	"github.com/quell-soar/quell/internal/alert"
)

// crowdstrike reads a Falcon detection: the flat summary, or the same within an
// event stream's {metadata, event}. Names differ between the classic
// DetectionSummaryEvent and today's EppDetectionSummaryEvent; the first that is
// there counts.
func (s *sheet) crowdstrike(a *alert.Alert, m map[string]any) {
	e := m
	if inner, ok := m["event"].(map[string]any); ok {
		e = inner
		if meta, ok := m["metadata"].(map[string]any); ok {
			a.Occurred = s.when(meta, "metadata.", "eventCreationTime")
		}
	}
	a.ID = s.text(e, "", kind.String, maxID, "CompositeId", "DetectId", "EventUUID")
	a.Title = s.text(e, "", kind.String, maxTitle, "Name", "DetectName", "Description", "DetectDescription")
	a.Severity = s.crowdstrikeSeverity(e)
	if a.Occurred.IsZero() {
		a.Occurred = s.when(e, "", "UTCTimestamp", "timestamp", "ProcessStartTime")
	}
	h := alert.Host{
		Name:     s.text(e, "", kind.Hostname, 253, "Hostname", "ComputerName"),
		IP:       s.text(e, "", kind.IP, 64, "LocalIP"),
		DeviceID: s.text(e, "", kind.String, maxID, "AgentIdString", "SensorId"),
	}
	if h.Name != "" || h.DeviceID != "" {
		s.host(a, "host", h)
	}
	u := alert.User{
		Name:   s.text(e, "", kind.Username, 256, "UserName"),
		Domain: s.text(e, "", kind.String, 256, "LogonDomain", "MachineDomain"),
	}
	if u.Name != "" {
		a.Users = append(a.Users, u)
	}
	name := s.text(e, "", kind.String, 256, "FileName")
	f := alert.File{
		Path: s.filePath(e, name), Name: name,
		SHA256: s.hash(e, "", 64, "SHA256String"), MD5: s.hash(e, "", 32, "MD5String"),
	}
	if f.Path != "" || f.SHA256 != "" {
		s.file(a, "file", f)
	}
	// The detection's own LocalIP and OriginSourceIpAddress are ours, not the
	// attacker's: they never become indicators that someone blocks.
	s.records(e, "NetworkAccesses", func(at string, m map[string]any) {
		if ip := s.text(m, at, kind.IP, 64, "RemoteAddress"); ip != "" {
			a.IPs = append(a.IPs, ip)
		}
	})
}

// filePath joins a directory and a name, where FilePath is only the directory;
// one product version writes it so, the other writes the whole path.
func (s *sheet) filePath(e map[string]any, name string) string {
	p := s.text(e, "", kind.Path, 4096, "FilePath")
	if p == "" || name == "" {
		return p
	}
	sep := "/"
	if strings.Contains(p, `\`) {
		sep = `\`
	}
	switch {
	case strings.HasSuffix(p, sep):
		p += name
	case !strings.HasSuffix(p, sep+name):
		p += sep + name
	}
	if _, err := kind.Parse(kind.Of(kind.Path), p); err != nil {
		s.drop("FilePath", "with FileName: %v", err)
		return ""
	}
	return p
}

// crowdstrikeSeverity prefers the name: the number counts to 5 in one product
// version and to 100 in the other.
func (s *sheet) crowdstrikeSeverity(e map[string]any) string {
	if name := s.severity(e, "SeverityName", "Severity_Name"); name != "" {
		return name
	}
	v, ok := e["Severity"]
	if !ok || v == nil {
		return ""
	}
	number, _ := v.(json.Number)
	n, err := number.Int64()
	if err != nil || n < 0 || n > 100 {
		s.drop("Severity", "not a number from 0 to 100")
		return ""
	}
	names, _ := kind.Of(kind.Severity).Enum()
	if n <= 5 {
		return names[max(n-1, 0)]
	}
	return names[min(n/20, 4)]
}
