package fakepanos

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// Handler serves the API: one path, and what is asked for stands in the form.
func (p *Panos) Handler() http.Handler {
	ops := map[string]http.Handler{}
	on := func(name string, public bool, prepare func(f url.Values, c *fake.Call) fake.Act) {
		ops[name] = p.world.Handler(p.vendor, fake.Operation{Name: name, Public: public, Prepare: func(c *fake.Call) fake.Act {
			form, _ := url.ParseQuery(string(c.Body)) // it was read once already
			p.advance()
			return prepare(form, c)
		}})
	}
	on("keygen", true, p.keygen)
	on("show-tags", false, p.showTags)
	on("user-id", false, p.userID)
	on("show", false, p.config)
	on("get", false, p.config)
	on("set", false, p.edit)
	on("delete", false, p.edit)
	on("commit", false, p.commit)
	on("show-job", false, p.showJob)
	on("show-jobs", false, p.showJobs)
	on("show-system", false, p.showSystem)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/{$}", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
		form, bad := url.ParseQuery(string(body))
		h, ok := ops[operation(form)]
		if err != nil || bad != nil || !ok {
			w.Header().Set("Content-Type", "application/xml")
			_, _ = w.Write(failure(http.StatusOK, "1", "unknown command").Body.([]byte))
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		h.ServeHTTP(w, r)
	})
	return mux
}

func operation(f url.Values) string {
	switch kind, cmd := f.Get("type"), f.Get("cmd"); {
	case kind == "config":
		return f.Get("action")
	case kind == "commit":
		if f.Get("action") != "partial" {
			return "full commits are not for this administrator"
		}
		return kind
	case kind != "op":
		return kind
	case strings.Contains(cmd, "<registered-ip>"):
		return "show-tags"
	case strings.Contains(cmd, "<jobs><all/>"):
		return "show-jobs"
	case strings.Contains(cmd, "<jobs>"):
		return "show-job"
	case strings.Contains(cmd, "<system>"):
		return "show-system"
	}
	return ""
}

func answer(status int, attr, inner string) fake.Answer {
	return fake.Answer{
		Status: status, Header: map[string]string{"Content-Type": "application/xml; charset=UTF-8"},
		Body: []byte(`<response ` + attr + `>` + inner + `</response>`),
	}
}

func success(code, result string) fake.Answer {
	return answer(http.StatusOK, `status="success" code="`+code+`"`, "<result>"+result+"</result>")
}

func failure(status int, code, message string) fake.Answer {
	return answer(status, `status="error" code="`+code+`"`, "<msg><line>"+text(message)+"</line></msg>")
}

func text(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder does not fail
	return b.String()
}

func invalidCredential() fake.Answer {
	return answer(http.StatusForbidden, `status="error" code="403"`, "<result><msg>Invalid Credential</msg></result>")
}

func refused(_ *fake.Call, status int, _ time.Duration) fake.Answer {
	switch status {
	case http.StatusUnauthorized:
		return invalidCredential()
	case http.StatusForbidden:
		return failure(http.StatusForbidden, "16", "Unauthorized request")
	}
	return failure(status, "21", strings.ToLower(http.StatusText(status)))
}

func (p *Panos) authorize(c *fake.Call) *fake.Answer {
	if p.keys[c.Header.Get("X-PAN-KEY")] {
		return nil
	}
	a := invalidCredential()
	return &a
}

func (p *Panos) keygen(f url.Values, _ *fake.Call) fake.Act {
	if f.Get("user") != Admin || f.Get("password") != p.password {
		return fake.Say("", invalidCredential())
	}
	return fake.Act{Run: func() fake.Done {
		p.serial++
		key := fmt.Sprintf("LUFRPT1fakekey%08d==", p.serial)
		p.keys[key] = true
		return fake.Done{Answer: success("19", "<key>"+key+"</key>")}
	}}
}

func (p *Panos) showTags(f url.Values, _ *fake.Call) fake.Act {
	var in struct {
		IP string `xml:"object>registered-ip>ip"`
	}
	if err := xml.Unmarshal([]byte(f.Get("cmd")), &in); err != nil || in.IP == "" {
		return fake.Say("", failure(http.StatusOK, "17", "show -> object -> registered-ip is invalid"))
	}
	return fake.Act{Object: in.IP, Run: func() fake.Done {
		members := ""
		for _, tag := range sortedKeys(p.tags) {
			if p.tags[tag][in.IP] {
				members += "<member>" + text(tag) + "</member>"
			}
		}
		entries, n := "", 0
		if members != "" {
			entries, n = fmt.Sprintf(`<entry ip="%s" from_agent="0" persistent="1"><tag>%s</tag></entry>`, text(in.IP), members), 1
		}
		return fake.Done{Answer: success("19", fmt.Sprintf("%s<count>%d</count>", entries, n))}
	}}
}

// uid is a message of type update with one address and one tag.
type uid struct {
	Register   []uidEntry `xml:"payload>register>entry"`
	Unregister []uidEntry `xml:"payload>unregister>entry"`
}

type uidEntry struct {
	IP   string   `xml:"ip,attr"`
	Tags []string `xml:"tag>member"`
}

func (p *Panos) userID(f url.Values, _ *fake.Call) fake.Act {
	var in uid
	err := xml.Unmarshal([]byte(f.Get("cmd")), &in)
	all := append(append([]uidEntry{}, in.Register...), in.Unregister...)
	if err != nil || len(all) != 1 || len(all[0].Tags) != 1 || all[0].IP == "" {
		return fake.Say("", failure(http.StatusOK, "18", "malformed uid-message"))
	}
	e, on := all[0], len(in.Register) == 1
	verb, tag := map[bool]string{true: "register", false: "unregister"}[on], e.Tags[0]
	return fake.Act{Object: e.IP, Run: func() fake.Done {
		if p.tags[tag][e.IP] == on {
			message := fmt.Sprintf("tag [%s] already exists, ignore", tag)
			if !on {
				message = fmt.Sprintf("tag [%s] does not exist, ignore unreg", tag)
			}
			return fake.Done{Answer: answer(http.StatusOK, `status="error"`, fmt.Sprintf(
				`<msg><line><uid-response><version>2.0</version><payload><%[1]s><entry ip="%[2]s" message="%[3]s"/></%[1]s></payload></uid-response></line></msg>`,
				verb, text(e.IP), text(message)))}
		}
		p.setTag(e.IP, tag, on)
		ok := fmt.Sprintf("<uid-response><version>2.0</version><payload><%[1]s/></payload></uid-response>", verb)
		return fake.Done{
			Answer:  answer(http.StatusOK, `status="success"`, "<result>"+ok+"</result>"),
			Effects: []fake.Change{{Object: e.IP, Before: fmt.Sprint(!on), After: fmt.Sprint(on)}},
		}
	}}
}

func (p *Panos) showSystem(url.Values, *fake.Call) fake.Act {
	return fake.Say("", success("19", "<system><hostname>fw-lab</hostname><sw-version>11.1.4</sw-version></system>"))
}
