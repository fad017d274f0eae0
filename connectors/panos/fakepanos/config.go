package fakepanos

import (
	"encoding/xml"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/quell-soar/quell/connectors/fake"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// The places of the configuration that the fake knows.
const vsysPath = `^/config/devices/entry\[@name='localhost\.localdomain'\]/vsys/entry\[@name='vsys1'\]`

var (
	groupsForm   = regexp.MustCompile(vsysPath + `/address-group$`)
	categoryForm = regexp.MustCompile(vsysPath + `/profiles/custom-url-category/entry\[@name='([^']+)'\]$`)
	memberForm   = regexp.MustCompile(vsysPath + `/profiles/custom-url-category/entry\[@name='([^']+)'\]/list/member\[text\(\)="([^"]*)"\]$`)
)

// config reads a part of the running configuration (show) or of the candidate
// (get).
func (p *Panos) config(f url.Values, _ *fake.Call) fake.Act {
	xpath := f.Get("xpath")
	if groupsForm.MatchString(xpath) {
		return fake.Act{Run: func() fake.Done {
			out := ""
			for _, name := range sortedKeys(p.groups) {
				out += fmt.Sprintf(`<entry name="%s"><dynamic><filter>%s</filter></dynamic></entry>`, text(name), text(p.groups[name]))
			}
			return fake.Done{Answer: success("19", "<address-group>"+out+"</address-group>")}
		}}
	}
	m := categoryForm.FindStringSubmatch(xpath)
	if m == nil {
		return fake.Say("", failure(http.StatusOK, "6", "Bad Xpath"))
	}
	return fake.Act{Object: m[1], Run: func() fake.Done {
		members, ok := p.running[m[1]]
		if !ok {
			if f.Get("action") == "get" {
				return fake.Done{Answer: answer(http.StatusOK, `status="success" code="7"`, "<result/>")}
			}
			return fake.Done{Answer: failure(http.StatusOK, "7", "No such node")}
		}
		if f.Get("action") == "get" {
			members = p.candidate(m[1])
		}
		list := ""
		for _, member := range members {
			list += "<member>" + text(member) + "</member>"
		}
		return fake.Done{Answer: success("19", fmt.Sprintf(`<entry name="%s"><list>%s</list><type>URL List</type></entry>`, text(m[1]), list))}
	}}
}

// edit changes the candidate configuration.
func (p *Panos) edit(f url.Values, _ *fake.Call) fake.Act {
	var e edit
	xpath := f.Get("xpath")
	if m := memberForm.FindStringSubmatch(xpath); m != nil && f.Get("action") == "delete" {
		e = edit{admin: Admin, category: m[1], member: m[2], gone: true}
	} else if m := categoryForm.FindStringSubmatch(xpath); m != nil && f.Get("action") == "set" {
		var list struct {
			Members []string `xml:"member"`
		}
		if err := xml.Unmarshal([]byte(f.Get("element")), &list); err != nil || len(list.Members) != 1 {
			return fake.Say("", failure(http.StatusOK, "12", "Invalid object"))
		}
		e = edit{admin: Admin, category: m[1], member: list.Members[0]}
	} else {
		return fake.Say("", failure(http.StatusOK, "6", "Bad Xpath"))
	}
	return fake.Act{Object: e.member, Run: func() fake.Done { return p.stage(e) }}
}

func (p *Panos) stage(e edit) fake.Done {
	if _, ok := p.running[e.category]; !ok {
		return fake.Done{Answer: failure(http.StatusOK, "7", "No such node")}
	}
	if p.locked != "" {
		return fake.Done{Answer: failure(http.StatusOK, "12", "Config for scope vsys1 is currently locked by "+p.locked)}
	}
	there := slices.Contains(p.candidate(e.category), e.member)
	if e.gone && !there {
		return fake.Done{Answer: answer(http.StatusOK, `status="success" code="7"`, "<msg>Object doesn't exist</msg>")}
	}
	if e.gone == there {
		// The newest change of a member replaces an older one; one that leads back
		// to what is running leaves nothing to commit.
		p.staged = slices.DeleteFunc(p.staged, func(s edit) bool { return s.category == e.category && s.member == e.member })
		if slices.Contains(p.running[e.category], e.member) == e.gone {
			p.staged = append(p.staged, e)
		}
	}
	return fake.Done{
		Answer:  answer(http.StatusOK, `status="success" code="20"`, "<msg>command succeeded</msg>"),
		Effects: []fake.Change{{Object: e.member, Before: fmt.Sprint(there), After: fmt.Sprint(!e.gone)}},
	}
}

func (p *Panos) commit(f url.Values, _ *fake.Call) fake.Act {
	var in struct {
		Admins []string `xml:"partial>admin>member"`
	}
	if err := xml.Unmarshal([]byte(f.Get("cmd")), &in); err != nil || len(in.Admins) != 1 {
		return fake.Say("", failure(http.StatusOK, "17", "commit is invalid"))
	}
	return fake.Act{Run: func() fake.Done {
		switch {
		case p.locked != "":
			return fake.Done{Answer: failure(http.StatusOK, "12", "Commit lock is held by "+p.locked)}
		case p.busy():
			return fake.Done{Answer: failure(http.StatusOK, "13", "Another commit is in progress. Please try again later")}
		}
		j := &job{id: len(p.jobs) + 1, until: p.world.Clock().Now().Add(p.world.LagOf("panos.commit")), failed: p.fails}
		for _, e := range p.staged {
			if e.admin == in.Admins[0] {
				j.carries = append(j.carries, e)
			}
		}
		if len(j.carries) == 0 {
			return fake.Done{Answer: answer(http.StatusOK, `status="success" code="19"`, "<msg>There are no changes to commit.</msg>")}
		}
		p.jobs = append(p.jobs, j)
		return fake.Done{
			Answer:  success("19", fmt.Sprintf("<msg><line>Commit job enqueued with jobid %[1]d</line></msg><job>%[1]d</job>", j.id)),
			Effects: []fake.Change{{Object: fmt.Sprintf("commit %d", j.id), After: fmt.Sprintf("%d changes", len(j.carries))}},
		}
	}}
}

func (p *Panos) showJob(f url.Values, _ *fake.Call) fake.Act {
	var in struct {
		ID string `xml:"jobs>id"`
	}
	if err := xml.Unmarshal([]byte(f.Get("cmd")), &in); err != nil {
		return fake.Say("", failure(http.StatusOK, "17", "show -> jobs is invalid"))
	}
	return fake.Act{Run: func() fake.Done {
		n, err := strconv.Atoi(strings.TrimSpace(in.ID))
		if err != nil || n < 1 || n > len(p.jobs) {
			return fake.Done{Answer: failure(http.StatusOK, "7", "job "+in.ID+" not found")}
		}
		return fake.Done{Answer: success("19", p.jobs[n-1].xml())}
	}}
}

func (p *Panos) showJobs(url.Values, *fake.Call) fake.Act {
	return fake.Act{Run: func() fake.Done {
		out := ""
		for _, j := range p.jobs {
			out += j.xml()
		}
		return fake.Done{Answer: success("19", out)}
	}}
}

func (j *job) xml() string {
	status, result, details := "FIN", "OK", "Configuration committed successfully"
	switch {
	case !j.applied:
		status, result, details = "ACT", "PEND", ""
	case j.failed != "":
		result, details = "FAIL", j.failed
	}
	return fmt.Sprintf("<job><id>%d</id><type>Commit</type><status>%s</status><result>%s</result><details><line>%s</line></details></job>", j.id, status, result, text(details))
}
