package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/quell-soar/quell/connectors/spec/kind"
)

// Playbook is one playbook as it stands.
type Playbook struct {
	Name  string   `json:"name"`
	Title string   `json:"title"`
	Owner string   `json:"owner,omitempty"`
	Tags  []string `json:"tags,omitempty"`
	// Digest names the current version, Version is its number.
	Digest  string `json:"digest"`
	Version int    `json:"version,omitempty"`
	// Mode is the mode of a launch by hand; Own that of the playbook, whatever
	// starts it.
	Mode string `json:"mode"`
	Own  string `json:"own_mode,omitempty"`
	// Published is who made the version current, and from where.
	Published *PlaybookMark   `json:"published,omitempty"`
	From      []string        `json:"from,omitempty"`
	Roles     []string        `json:"roles,omitempty"`
	Manual    bool            `json:"manual"`
	Inputs    []PlaybookInput `json:"inputs,omitempty"`
	// Retired is set where no new run may start.
	Retired *PlaybookMark `json:"retired,omitempty"`
	// Problems say why what its source offers now is not current, or why it cannot
	// be started.
	Problems []string `json:"problems,omitempty"`
}

// PlaybookMark is who did something to a playbook, when, and why.
type PlaybookMark struct {
	By     string    `json:"by"`
	At     time.Time `json:"at"`
	Reason string    `json:"reason,omitempty"`
	Origin string    `json:"origin,omitempty"`
}

// PlaybookInput is one input of a playbook.
type PlaybookInput struct {
	Name     string    `json:"name"`
	Type     kind.Type `json:"type"`
	Ask      string    `json:"ask,omitempty"`
	Required bool      `json:"required,omitempty"`
}

// Playbooks lists the playbooks that may be started, and retired ones, by name.
type Playbooks struct {
	Playbooks []Playbook `json:"playbooks"`
	// Refused are not loaded: nothing configured can serve them, or no version of
	// them ever held.
	Refused []RefusedPlaybook `json:"refused,omitempty"`
	// Problems are those of a folder or a repository as a whole.
	Problems []string `json:"problems,omitempty"`
}

// RefusedPlaybook is a playbook that cannot be started.
type RefusedPlaybook struct {
	File string `json:"file"`
	// Playbook is its name, where a version of it was published.
	Playbook string `json:"playbook,omitempty"`
	// Why is the first of its mistakes, with its place.
	Why string `json:"why"`
}

// PublishText is a playbook to be published, with its tests.
type PublishText struct {
	File  string `json:"file" maxLength:"500"`
	Text  string `json:"text" maxLength:"1048576"`
	Tests string `json:"tests,omitempty" maxLength:"1048576"`
}

// PublishPlaybooks asks to publish texts together, all or none.
type PublishPlaybooks struct {
	Playbooks []PublishText `json:"playbooks" minItems:"1" maxItems:"100"`
}

// PublishedPlaybook is what became of one text.
type PublishedPlaybook struct {
	File     string `json:"file"`
	Playbook string `json:"playbook"`
	Digest   string `json:"digest"`
	Version  int    `json:"version"`
	// Status is published, or unchanged where it was current.
	Status string `json:"status"`
	// Before is the digest that was current before. SameMeaning says that the two
	// differ in layout and comments only.
	Before      string `json:"before,omitempty"`
	SameMeaning bool   `json:"same_meaning,omitempty"`
	// Tests is how many tests it passed.
	Tests int `json:"tests"`
}

// PublishedPlaybooks is what became of the texts.
type PublishedPlaybooks struct {
	Published []PublishedPlaybook `json:"published"`
}

// PlaybookVersion is one version of a playbook.
type PlaybookVersion struct {
	Playbook string    `json:"playbook"`
	Version  int       `json:"version"`
	Digest   string    `json:"digest"`
	Meaning  string    `json:"meaning"`
	File     string    `json:"file"`
	Origin   string    `json:"origin"`
	Note     string    `json:"note,omitempty"`
	By       string    `json:"by"`
	At       time.Time `json:"at"`
	Tests    int       `json:"tests"`
	Current  bool      `json:"current,omitempty"`
	// Text is there where one version was asked for.
	Text string `json:"text,omitempty"`
}

// PlaybookDetail is a playbook with its versions, the newest first.
type PlaybookDetail struct {
	Playbook
	Versions []PlaybookVersion `json:"versions"`
}

// PlaybookDiff is what changes from one version to another.
type PlaybookDiff struct {
	From PlaybookVersion `json:"from"`
	To   PlaybookVersion `json:"to"`
	// SameMeaning says that only layout and comments differ.
	SameMeaning bool `json:"same_meaning"`
	// Changes are the changes of the plan, as lines for people.
	Changes string `json:"changes"`
}

// PromotePlaybook sets a playbook's mode.
type PromotePlaybook struct {
	// Mode is observe, ask or act.
	Mode string `json:"mode" enum:"observe,ask,act"`
	// Digest, where given, is the version that was looked at; with another one
	// current nothing is changed.
	Digest string `json:"digest,omitempty" maxLength:"100"`
	Reason string `json:"reason" maxLength:"1000"`
}

// RetirePlaybook ends new launches of a playbook.
type RetirePlaybook struct {
	Digest string `json:"digest,omitempty" maxLength:"100"`
	Reason string `json:"reason" maxLength:"1000"`
}

func playbookPath(name, more string) string { return "/v1/playbooks/" + url.PathEscape(name) + more }

// PublishPlaybooks publishes texts together.
func (c *Client) PublishPlaybooks(ctx context.Context, in PublishPlaybooks) (PublishedPlaybooks, error) {
	var out PublishedPlaybooks
	err := c.do(ctx, http.MethodPost, "/v1/playbooks", in, &out, nil)
	return out, err
}

// Playbook shows one playbook with its versions.
func (c *Client) Playbook(ctx context.Context, name string) (PlaybookDetail, error) {
	return get[PlaybookDetail](ctx, c, playbookPath(name, ""), nil)
}

// PlaybookVersion shows one version with its text. The digest may be cut to its
// first eight characters; "current" is the current one.
func (c *Client) PlaybookVersion(ctx context.Context, name, digest string) (PlaybookVersion, error) {
	return get[PlaybookVersion](ctx, c, playbookPath(name, "/versions/"+url.PathEscape(digest)), nil)
}

// PlaybookDiff tells what changes between two versions, named as in
// PlaybookVersion. An empty to is the current one, an empty from the one before
// it.
func (c *Client) PlaybookDiff(ctx context.Context, name, from, to string) (PlaybookDiff, error) {
	return get[PlaybookDiff](ctx, c, playbookPath(name, "/diff"), query("from", from, "to", to))
}

// PromotePlaybook sets a playbook's mode.
func (c *Client) PromotePlaybook(ctx context.Context, name string, in PromotePlaybook) (Playbook, error) {
	var out Playbook
	err := c.do(ctx, http.MethodPost, playbookPath(name, "/promote"), in, &out, nil)
	return out, err
}

// RetirePlaybook ends new launches of a playbook.
func (c *Client) RetirePlaybook(ctx context.Context, name string, in RetirePlaybook) (Playbook, error) {
	var out Playbook
	err := c.do(ctx, http.MethodPost, playbookPath(name, "/retire"), in, &out, nil)
	return out, err
}
