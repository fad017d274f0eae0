package fakevt

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// Stats counts the engines by what they say of a thing.
type Stats struct {
	Malicious  int `json:"malicious"`
	Suspicious int `json:"suspicious"`
	Harmless   int `json:"harmless"`
	Undetected int `json:"undetected"`
}

// Bad, Doubtful and Good are what engines usually say.
var (
	Bad      = Stats{Malicious: 58, Undetected: 12}
	Doubtful = Stats{Malicious: 1, Suspicious: 2, Harmless: 40, Undetected: 25}
	Good     = Stats{Harmless: 60, Undetected: 10}
)

// VirusTotal is the fake.
type VirusTotal struct {
	world  *fake.World
	vendor *fake.Vendor
	key    string

	// objects are what is known: files/HASH, ip_addresses/A, domains/D, urls/URL.
	objects map[string]*object
	// uploads are the files by their analysis.
	uploads []*object
	// verdicts are what an upload will turn out to be, by SHA-256.
	verdicts map[string]Stats
}

type object struct {
	id    string
	stats Stats
	until time.Time
}

// New makes a VirusTotal that knows nothing and accepts one key.
func New(w *fake.World, key string) *VirusTotal {
	v := &VirusTotal{world: w, key: key, objects: map[string]*object{}, verdicts: map[string]Stats{}}
	v.vendor = &fake.Vendor{
		Name: "virustotal", Authorize: v.authorize, Refused: refused, Dump: v.dump,
		Expire: func() {}, // a key does not expire
		Soft: func(*fake.Call) fake.Answer {
			return failure(http.StatusOK, "TransientError", "transient error")
		},
	}
	w.Lag("virustotal.analysis", 200*time.Millisecond)
	w.Lag("virustotal.latency", 0)
	w.Add(v.vendor)
	return v
}

// Seed makes a thing known: collection is files, ip_addresses, domains or urls.
func (v *VirusTotal) Seed(collection, id string, s Stats) error {
	if !slices.Contains([]string{"files", "ip_addresses", "domains", "urls"}, collection) {
		return fmt.Errorf("VirusTotal has no collection %q; it has files, ip_addresses, domains and urls", collection)
	}
	v.world.Do(func() { v.objects[collection+"/"+id] = &object{id: id, stats: s} })
	return nil
}

// Expect says what the upload of a file will turn out to be.
func (v *VirusTotal) Expect(content []byte, s Stats) {
	v.world.Do(func() { v.verdicts[hashOf(content)] = s })
}

func hashOf(content []byte) string {
	sum := sha256.Sum256(content)
	return hex.EncodeToString(sum[:])
}

// Control serves the fake's side of the lab's control API:
//
//	POST /_lab/virustotal {"collection": "urls", "id": "https://evil.example/", "stats": {"malicious": 9}}
func (v *VirusTotal) Control(mux *http.ServeMux) {
	mux.HandleFunc("POST /_lab/virustotal", func(w http.ResponseWriter, r *http.Request) {
		var in struct {
			Collection string `json:"collection"`
			ID         string `json:"id"`
			Stats      Stats  `json:"stats"`
		}
		err := fake.Read(w, r, &in)
		if err == nil {
			err = v.Seed(in.Collection, in.ID, in.Stats)
		}
		fake.Reply(w, map[string]bool{"ok": true}, err, http.StatusBadRequest)
	})
}

// Handler serves the API.
func (v *VirusTotal) Handler() http.Handler {
	mux := http.NewServeMux()
	on := func(pattern, name string, prepare func(c *fake.Call) fake.Act) {
		mux.Handle(pattern, v.world.Handler(v.vendor, fake.Operation{Name: name, Prepare: prepare}))
	}
	for collection, name := range map[string]string{"files": "get-file", "ip_addresses": "get-ip", "domains": "get-domain", "urls": "get-url"} {
		on("GET /api/v3/"+collection+"/{id}", name, func(c *fake.Call) fake.Act { return v.get(collection, c.PathValue("id")) })
	}
	on("POST /api/v3/files", "upload", v.upload)
	on("GET /api/v3/analyses/{id}", "get-analysis", v.analysis)
	return mux
}

func failure(status int, code, message string) fake.Answer {
	return fake.Answer{Status: status, Body: map[string]any{"error": map[string]any{"code": code, "message": message}}}
}

func refused(_ *fake.Call, status int, _ time.Duration) fake.Answer {
	code, ok := map[int]string{
		http.StatusUnauthorized: "WrongCredentialsError", http.StatusForbidden: "ForbiddenError", http.StatusNotFound: "NotFoundError",
		http.StatusTooManyRequests: "QuotaExceededError", http.StatusBadRequest: "BadRequestError", http.StatusServiceUnavailable: "TransientError",
	}[status]
	if !ok {
		code = "InternalError"
	}
	return failure(status, code, strings.ToLower(http.StatusText(status)))
}

func (v *VirusTotal) authorize(c *fake.Call) *fake.Answer {
	if c.Header.Get("X-Apikey") == v.key {
		return nil
	}
	a := failure(http.StatusUnauthorized, "WrongCredentialsError", "Wrong API key")
	return &a
}

func data(kind, id string, attributes map[string]any) fake.Answer {
	return fake.Answer{Status: http.StatusOK, Body: map[string]any{"data": map[string]any{"type": kind, "id": id, "attributes": attributes}}}
}

func (v *VirusTotal) get(collection, id string) fake.Act {
	if collection == "urls" {
		raw, err := base64.RawURLEncoding.DecodeString(id)
		if err != nil {
			return fake.Say(id, failure(http.StatusBadRequest, "BadRequestError", "not an URL identifier"))
		}
		id = string(raw)
	}
	return fake.Act{Object: id, Run: func() fake.Done {
		o := v.objects[collection+"/"+id]
		if o == nil {
			return fake.Done{Answer: failure(http.StatusNotFound, "NotFoundError", "not found")}
		}
		now := v.world.Clock().Now()
		attributes := map[string]any{"last_analysis_stats": o.now(now)}
		if !now.Before(o.until) {
			attributes["last_analysis_date"] = now.Unix()
		}
		return fake.Done{Answer: data(strings.TrimSuffix(collection, "s"), o.id, attributes)}
	}}
}

// now are the counts that are there already.
func (o *object) now(now time.Time) Stats {
	if now.Before(o.until) {
		return Stats{}
	}
	return o.stats
}

func (v *VirusTotal) upload(c *fake.Call) fake.Act {
	_, params, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	var content []byte
	var part *multipart.Part
	if err == nil {
		if part, err = multipart.NewReader(bytes.NewReader(c.Body), params["boundary"]).NextPart(); err == nil {
			content, err = io.ReadAll(part)
		}
	}
	if err != nil || part.FormName() != "file" {
		return fake.Say("", failure(http.StatusBadRequest, "BadRequestError", "a file is needed"))
	}
	hash := hashOf(content)
	return fake.Act{Object: hash, Run: func() fake.Done {
		o := &object{id: hash, stats: Good, until: v.world.Clock().Now().Add(v.world.LagOf("virustotal.analysis"))}
		if bytes.Contains(content, []byte("EICAR")) {
			o.stats = Bad
		}
		if s, ok := v.verdicts[hash]; ok {
			o.stats = s
		}
		v.objects["files/"+hash] = o
		v.uploads = append(v.uploads, o)
		return fake.Done{
			Answer:  data("analysis", fmt.Sprintf("analysis-%d", len(v.uploads)), nil),
			Effects: []fake.Change{{Object: hash, After: "uploaded as " + part.FileName()}},
		}
	}}
}

func (v *VirusTotal) analysis(c *fake.Call) fake.Act {
	return fake.Act{Run: func() fake.Done {
		var n int
		if _, err := fmt.Sscanf(c.PathValue("id"), "analysis-%d", &n); err != nil || n < 1 || n > len(v.uploads) {
			return fake.Done{Answer: failure(http.StatusNotFound, "NotFoundError", "analysis not found")}
		}
		o, now, status := v.uploads[n-1], v.world.Clock().Now(), "completed"
		if now.Before(o.until) {
			status = "in-progress"
		}
		return fake.Done{Answer: data("analysis", c.PathValue("id"), map[string]any{"status": status, "stats": o.now(now)})}
	}}
}

// dump lists what is known and how often files were handed in.
func (v *VirusTotal) dump() any {
	known := []string{}
	for _, key := range slices.Sorted(maps.Keys(v.objects)) {
		known = append(known, fmt.Sprintf("%s %+v", key, v.objects[key].stats))
	}
	return map[string]any{"known": known, "uploads": len(v.uploads)}
}
