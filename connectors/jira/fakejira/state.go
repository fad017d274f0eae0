package fakejira

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

// statuses are the project's workflow, in its order; each can be reached from
// every other, as in Jira's simplified workflow.
var statuses = []string{"To Do", "In Progress", "Done"}

type comment struct {
	id         int
	body       json.RawMessage
	properties []property
}

type property struct {
	Key   string          `json:"key"`
	Value json.RawMessage `json:"value"`
}

type attachment struct {
	id      int
	name    string
	content []byte
	created time.Time
}

type issue struct {
	id          int
	key         string
	project     string
	issueType   string
	summary     string
	priority    string
	labels      []string
	status      string
	indexed     time.Time
	description json.RawMessage
	comments    []comment
	attachments []attachment
	properties  map[string]json.RawMessage
}

// Jira is the fake.
type Jira struct {
	world    *fake.World
	vendor   *fake.Vendor
	auth     string
	base     string
	projects []string
	// most is how many comments a page has at most; chatter, how many an
	// automation adds after each of ours.
	most, chatter int
	// issues are in the order of their creation.
	issues []*issue
	serial int
}

// New makes an empty Jira site in the world with one account and one project.
func New(w *fake.World, email, token, project string) *Jira {
	j := &Jira{
		world: w, projects: []string{project}, serial: 10000, most: 5000,
		auth: "Basic " + base64.StdEncoding.EncodeToString([]byte(email+":"+token)),
	}
	j.vendor = &fake.Vendor{Name: "jira", Authorize: j.authorize, Refused: refused, Dump: j.dump, Expire: func() {}, Soft: soft}
	w.Lag("jira.search", time.Second)
	w.Lag("jira.latency", 0)
	w.Add(j.vendor)
	return j
}

// Pages sets how many comments a page has at most.
func (j *Jira) Pages(n int) { j.world.Do(func() { j.most = n }) }

// Chatter lets an automation add n comments after each one.
func (j *Jira) Chatter(n int) { j.world.Do(func() { j.chatter = n }) }

// Attached returns the content of an issue's attachment, and whether it is there.
func (j *Jira) Attached(key, name string) (content []byte, ok bool) {
	j.world.Do(func() {
		if i := j.find(key); i != nil {
			for _, a := range i.attachments {
				if a.name == name {
					content, ok = a.content, true
				}
			}
		}
	})
	return content, ok
}

// Move changes an issue's status behind everybody's back, as a person would.
func (j *Jira) Move(key, status string) error {
	err := fmt.Errorf("there is no issue %s", key)
	j.world.Do(func() {
		if i := j.find(key); i != nil {
			i.status, err = status, nil
		}
	})
	return err
}

// find returns the issue of that key or id.
func (j *Jira) find(keyOrID string) *issue {
	for _, i := range j.issues {
		if strings.EqualFold(i.key, keyOrID) || strconv.Itoa(i.id) == keyOrID {
			return i
		}
	}
	return nil
}

func (j *Jira) dump() any {
	out := []map[string]any{}
	for _, i := range j.issues {
		comments := []string{}
		for _, c := range i.comments {
			comments = append(comments, textOf(c.body))
		}
		files := []string{}
		for _, a := range i.attachments {
			files = append(files, fmt.Sprintf("%s %x", a.name, sha256.Sum256(a.content)))
		}
		out = append(out, map[string]any{
			"attachments": files, "key": i.key, "summary": i.summary, "status": i.status, "priority": i.priority, "labels": i.labels,
			"description": textOf(i.description), "comments": comments, "properties": i.properties,
		})
	}
	return map[string]any{"issues": out}
}

// node is a part of a document in Atlassian's format.
type node struct {
	Type    string            `json:"type"`
	Version int               `json:"version,omitempty"`
	Text    *string           `json:"text,omitempty"`
	Content []node            `json:"content,omitempty"`
	Marks   []json.RawMessage `json:"marks,omitempty"`
}

// checkDoc refuses what Jira refuses: another root, unknown nodes, an empty text.
func checkDoc(raw json.RawMessage) error {
	var n node
	if err := json.Unmarshal(raw, &n); err != nil || n.Type != "doc" || n.Version != 1 {
		return fmt.Errorf("Operation value must be an Atlassian Document") //nolint:staticcheck // Jira's words
	}
	return n.check()
}

func (n node) check() error {
	if !slices.Contains([]string{"doc", "paragraph", "text", "hardBreak"}, n.Type) || n.Type == "text" && (n.Text == nil || *n.Text == "") {
		return fmt.Errorf("INVALID_INPUT")
	}
	for _, c := range n.Content {
		if err := c.check(); err != nil {
			return err
		}
	}
	return nil
}

// textOf is a document's text, its paragraphs as lines.
func textOf(raw json.RawMessage) string {
	var n node
	if json.Unmarshal(raw, &n) != nil {
		return ""
	}
	var lines []string
	for _, p := range n.Content {
		line := ""
		for _, t := range p.Content {
			if t.Text != nil {
				line += *t.Text
			}
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "\n")
}

func (j *Jira) authorize(c *fake.Call) *fake.Answer {
	if c.Header.Get("Authorization") == j.auth {
		return nil
	}
	a := failure(c, http.StatusUnauthorized, "Client must be authenticated to access this resource.")
	return &a
}

// failure is Jira's error body.
func failure(c *fake.Call, status int, message string, fields ...string) fake.Answer {
	errs := map[string]string{}
	for i := 0; i+1 < len(fields); i += 2 {
		errs[fields[i]] = fields[i+1]
	}
	messages := []string{}
	if message != "" {
		messages = append(messages, message)
	}
	return fake.Answer{
		Status: status, Header: map[string]string{"Atl-Traceid": c.ID},
		Body: map[string]any{"errorMessages": messages, "errors": errs},
	}
}

func success(c *fake.Call, status int, body any) fake.Answer {
	return fake.Answer{Status: status, Header: map[string]string{"Atl-Traceid": c.ID}, Body: body}
}

// soft is a write that was accepted and changes nothing: Jira has no error
// within a success, but a success is no proof either.
func soft(c *fake.Call) fake.Answer {
	if strings.HasSuffix(c.URL.Path, "/transitions") {
		return success(c, http.StatusNoContent, nil)
	}
	if strings.HasSuffix(c.URL.Path, "/attachments") {
		return success(c, http.StatusOK, []any{})
	}
	return success(c, http.StatusCreated, map[string]any{})
}

func refused(c *fake.Call, status int, retry time.Duration) fake.Answer {
	a := failure(c, status, http.StatusText(status))
	if status == http.StatusTooManyRequests {
		seconds := int((retry + time.Second - 1) / time.Second)
		a.Header["Retry-After"] = strconv.Itoa(seconds)
		a.Header["X-Ratelimit-Remaining"] = "0"
		a.Header["X-Ratelimit-Reset"] = time.Now().Add(retry).UTC().Format("2006-01-02T15:04Z")
		a.Header["Ratelimit-Reason"] = "jira-burst-based"
	}
	return a
}
