package fakejira

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/quell-soar/quell/connectors/fake"
)

// Handler serves the API; base is the site's URL as its answers name it.
func (j *Jira) Handler(base string) http.Handler {
	j.base = base
	mux := http.NewServeMux()
	on := func(pattern, name string, prepare func(*fake.Call) fake.Act) {
		mux.Handle(pattern, j.world.Handler(j.vendor, fake.Operation{Name: name, Prepare: prepare}))
	}
	on("GET /rest/api/3/myself", "myself", func(c *fake.Call) fake.Act {
		return fake.Say("", success(c, http.StatusOK, map[string]any{"accountId": "quell", "active": true}))
	})
	on("POST /rest/api/3/issue", "create", j.create)
	on("GET /rest/api/3/issue/{issue}", "get", j.withIssue(j.get))
	on("POST /rest/api/3/search/jql", "search", j.search)
	on("GET /rest/api/3/issue/{issue}/transitions", "transitions", j.withIssue(j.transitions))
	on("POST /rest/api/3/issue/{issue}/transitions", "transition", j.withIssue(j.transition))
	on("GET /rest/api/3/issue/{issue}/comment", "comments", j.withIssue(j.listComments))
	on("POST /rest/api/3/issue/{issue}/comment", "comment", j.withIssue(j.addComment))
	on("POST /rest/api/3/issue/{issue}/attachments", "attach", j.withIssue(j.attach))
	on("GET /rest/api/3/issue/{issue}/properties/{property}", "get-property", j.withIssue(j.getProperty))
	on("PUT /rest/api/3/issue/{issue}/properties/{property}", "set-property", j.withIssue(j.setProperty))
	return mux
}

// withIssue finds the issue of the path.
func (j *Jira) withIssue(f func(*fake.Call, *issue) fake.Act) func(*fake.Call) fake.Act {
	return func(c *fake.Call) fake.Act {
		i := j.find(c.PathValue("issue"))
		if i == nil {
			return fake.Say("", failure(c, http.StatusNotFound, "Issue does not exist or you do not have permission to see it."))
		}
		return f(c, i)
	}
}

func bad(c *fake.Call, message string, fields ...string) fake.Act {
	return fake.Say("", failure(c, http.StatusBadRequest, message, fields...))
}

// draft is the body that creates an issue.
type draft struct {
	Fields struct {
		Project   struct{ Key string }  `json:"project"`
		IssueType struct{ Name string } `json:"issuetype"`
		Priority  struct{ Name string } `json:"priority"`
		Summary   string                `json:"summary"`
		Labels    []string              `json:"labels"`
		Doc       json.RawMessage       `json:"description"`
	} `json:"fields"`
	Properties []property `json:"properties"`
}

func (d draft) check(projects []string) []string {
	switch f := d.Fields; {
	case !slices.Contains(projects, f.Project.Key):
		return []string{"project", "valid project is required"}
	case f.IssueType.Name == "":
		return []string{"issuetype", "Specify an issue type"}
	case f.Summary == "" || len([]rune(f.Summary)) > 255 || strings.ContainsAny(f.Summary, "\r\n"):
		return []string{"summary", "The summary is invalid because it contains newline characters or has a wrong length."}
	case slices.ContainsFunc(f.Labels, func(l string) bool { return strings.ContainsAny(l, " \t") }):
		return []string{"labels", "The label can't contain spaces."}
	case f.Doc != nil && checkDoc(f.Doc) != nil:
		return []string{"description", checkDoc(f.Doc).Error()}
	}
	return nil
}

func (j *Jira) create(c *fake.Call) fake.Act {
	var in draft
	if err := c.JSON(&in); err != nil {
		return bad(c, "There was an error parsing JSON.")
	}
	project := in.Fields.Project.Key
	if wrong := in.check(j.projects); wrong != nil {
		return fake.Say(project, failure(c, http.StatusBadRequest, "", wrong...))
	}
	return fake.Act{Object: project, Run: func() fake.Done {
		j.serial++
		i := &issue{
			id: j.serial, key: fmt.Sprintf("%s-%d", project, len(j.issues)+1), project: project, issueType: in.Fields.IssueType.Name,
			summary: in.Fields.Summary, labels: in.Fields.Labels, priority: in.Fields.Priority.Name, description: in.Fields.Doc,
			status: statuses[0], properties: map[string]json.RawMessage{},
			indexed: j.world.Clock().Now().Add(j.world.LagOf("jira.search")),
		}
		for _, p := range in.Properties {
			i.properties[p.Key] = p.Value
		}
		j.issues = append(j.issues, i)
		return fake.Done{
			Answer: success(c, http.StatusCreated, map[string]any{
				"id": strconv.Itoa(i.id), "key": i.key, "self": j.base + "/rest/api/3/issue/" + strconv.Itoa(i.id),
			}),
			Effects: []fake.Change{{Object: i.key, Key: strings.Join(i.labels, ","), After: i.summary}},
		}
	}}
}

// show is an issue as the API tells it.
func (j *Jira) show(i *issue) map[string]any {
	files := []any{}
	for _, a := range i.attachments {
		files = append(files, a.show(j.base))
	}
	return map[string]any{
		"id": strconv.Itoa(i.id), "key": i.key, "self": j.base + "/rest/api/3/issue/" + strconv.Itoa(i.id),
		"fields": map[string]any{
			"summary": i.summary, "labels": i.labels, "status": map[string]any{"name": i.status},
			"project": map[string]any{"key": i.project}, "issuetype": map[string]any{"name": i.issueType},
			"attachment": files,
		},
	}
}

func (j *Jira) get(c *fake.Call, i *issue) fake.Act {
	return fake.Act{Object: i.key, Run: func() fake.Done { return fake.Done{Answer: success(c, http.StatusOK, j.show(i))} }}
}

// search knows project = "X" and labels = "Y", joined by AND.
func (j *Jira) search(c *fake.Call) fake.Act {
	var in struct {
		JQL             string   `json:"jql"`
		Fields          []string `json:"fields"`
		MaxResults      int      `json:"maxResults"`
		ReconcileIssues []int    `json:"reconcileIssues"`
	}
	if err := c.JSON(&in); err != nil {
		return bad(c, "There was an error parsing JSON.")
	}
	jql, _, _ := strings.Cut(in.JQL, " ORDER BY ")
	want := map[string]string{}
	for term := range strings.SplitSeq(jql, " AND ") {
		field, value, ok := strings.Cut(term, " = ")
		text, err := strconv.Unquote(value)
		if !ok || err != nil || (field != "project" && field != "labels") {
			return bad(c, fmt.Sprintf("Error in the JQL Query: %q", term))
		}
		want[field] = text
	}
	return fake.Act{Run: func() fake.Done {
		now := j.world.Clock().Now()
		found := []any{}
		for _, i := range j.issues {
			seen := !now.Before(i.indexed) || slices.Contains(in.ReconcileIssues, i.id)
			if project, ok := want["project"]; !seen || ok && project != i.project {
				continue
			}
			if label, ok := want["labels"]; !ok || slices.Contains(i.labels, label) {
				found = append(found, j.show(i))
			}
		}
		return fake.Done{Answer: success(c, http.StatusOK, map[string]any{"issues": found, "isLast": true})}
	}}
}

func (j *Jira) transitions(c *fake.Call, i *issue) fake.Act {
	return fake.Act{Object: i.key, Run: func() fake.Done {
		offered := []any{}
		for n, s := range statuses {
			if s != i.status {
				offered = append(offered, map[string]any{"id": strconv.Itoa(11 + 10*n), "name": "to " + s, "to": map[string]any{"name": s}})
			}
		}
		return fake.Done{Answer: success(c, http.StatusOK, map[string]any{"transitions": offered})}
	}}
}

func (j *Jira) transition(c *fake.Call, i *issue) fake.Act {
	var in struct {
		Transition struct{ ID string } `json:"transition"`
	}
	n, err := 0, c.JSON(&in)
	if err == nil {
		n, err = strconv.Atoi(in.Transition.ID)
	}
	n = (n - 11) / 10
	return fake.Act{Object: i.key, Run: func() fake.Done {
		if err != nil || n < 0 || n >= len(statuses) || statuses[n] == i.status {
			return fake.Done{Answer: failure(c, http.StatusBadRequest, "It seems that you have tried to perform an illegal workflow operation.")}
		}
		before := i.status
		i.status = statuses[n]
		return fake.Done{
			Answer:  success(c, http.StatusNoContent, nil),
			Effects: []fake.Change{{Object: i.key, Before: before, After: i.status}},
		}
	}}
}

func (j *Jira) listComments(c *fake.Call, i *issue) fake.Act {
	q := c.URL.Query()
	first, most := number(q, "startAt", 0), min(number(q, "maxResults", 50), j.most)
	newest := q.Get("orderBy") == "-created"
	return fake.Act{Object: i.key, Run: func() fake.Done {
		all := slices.Clone(i.comments)
		if newest {
			slices.Reverse(all)
		}
		page := all[min(first, len(all)):min(first+most, len(all))]
		out := []any{}
		for _, cm := range page {
			out = append(out, map[string]any{"id": strconv.Itoa(cm.id), "body": cm.body})
		}
		return fake.Done{Answer: success(c, http.StatusOK, map[string]any{
			"startAt": first, "maxResults": most, "total": len(all), "comments": out,
		})}
	}}
}

func number(q url.Values, name string, otherwise int) int {
	if n, err := strconv.Atoi(q.Get(name)); err == nil && n >= 0 {
		return n
	}
	return otherwise
}

func (j *Jira) addComment(c *fake.Call, i *issue) fake.Act {
	var in struct {
		Body       json.RawMessage `json:"body"`
		Properties []property      `json:"properties"`
	}
	if err := c.JSON(&in); err != nil || checkDoc(in.Body) != nil {
		return bad(c, "", "comment", "Comment body is not valid!")
	}
	return fake.Act{Object: i.key, Run: func() fake.Done {
		j.serial++
		i.comments = append(i.comments, comment{id: j.serial, body: in.Body, properties: in.Properties})
		made := j.serial
		for n := range j.chatter {
			j.serial++
			i.comments = append(i.comments, comment{id: j.serial, body: document(fmt.Sprintf("An automation has seen it (%d).", n+1))})
		}
		text := textOf(in.Body)
		mark := text[strings.LastIndexByte(text, '\n')+1:]
		return fake.Done{
			Answer:  success(c, http.StatusCreated, map[string]any{"id": strconv.Itoa(made), "body": in.Body}),
			Effects: []fake.Change{{Object: i.key, Key: mark, After: text}},
		}
	}}
}

func (j *Jira) getProperty(c *fake.Call, i *issue) fake.Act {
	name := c.PathValue("property")
	return fake.Act{Object: i.key, Run: func() fake.Done {
		value, ok := i.properties[name]
		if !ok {
			return fake.Done{Answer: failure(c, http.StatusNotFound, "The property does not exist.")}
		}
		return fake.Done{Answer: success(c, http.StatusOK, map[string]any{"key": name, "value": value})}
	}}
}

func (j *Jira) setProperty(c *fake.Call, i *issue) fake.Act {
	name := c.PathValue("property")
	if !json.Valid(c.Body) {
		return bad(c, "The value must be JSON.")
	}
	return fake.Act{Object: i.key, Run: func() fake.Done {
		status := http.StatusCreated
		if _, ok := i.properties[name]; ok {
			status = http.StatusOK
		}
		i.properties[name] = json.RawMessage(c.Body)
		return fake.Done{
			Answer:  success(c, status, map[string]any{}),
			Effects: []fake.Change{{Object: i.key, Key: name, After: string(c.Body)}},
		}
	}}
}
