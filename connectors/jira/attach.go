package jira

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// maxFileName is how long a file's name is before its mark.
const maxFileName = 80

// attachFile puts a file beside an issue once: its name carries the beginning of
// its SHA-256.
func (s *session) attachFile(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := ticketOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	file, _ := r.Inputs["file"].(string)
	asked, _ := r.Inputs["name"].(string)
	name := fileName(asked, file)
	id, err := s.attached(ctx, h.ID, name)
	switch {
	case err != nil && r.Mode == spec.Back && spec.KindOf(err) == spec.NotFound:
		return spec.Reply{Outcome: spec.Absent}, nil
	case err != nil:
		return spec.Reply{}, err
	case id != "" && r.Mode == spec.Back:
		return spec.Reply{Outcome: spec.Present, Output: attachmentOutput(id, name)}, nil
	case id != "":
		return spec.Reply{Outcome: spec.Already, Output: attachmentOutput(id, name)}, nil
	case r.Mode == spec.Back:
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	content, ok := r.Artifacts[file]
	if !ok {
		return spec.Reply{}, spec.Errorf(spec.Invalid, "%s: the content of %s did not come with the call", r.Action, file)
	}
	return s.attach(ctx, h.ID, name, content)
}

func (s *session) attach(ctx context.Context, issueID, name string, content []byte) (spec.Reply, error) {
	rep, err := s.client.Do(ctx, rest.Request{
		Method: http.MethodPost, Path: api("issue", issueID, "attachments"),
		// Jira takes no file from a page in a browser; this says that we are none.
		Header: map[string]string{"X-Atlassian-Token": "no-check"},
		Upload: &rest.Upload{Field: "file", File: name, Content: content},
	})
	if err != nil && spec.KindOf(err) != spec.Uncertain {
		return spec.Reply{}, err
	}
	// Answered or not, the issue's own list is the proof.
	var again error
	for until := time.Now().Add(lostPatience); ; {
		var id string
		if id, again = s.attached(ctx, issueID, name); again == nil && id != "" {
			reply := spec.Reply{Outcome: spec.Done, Output: attachmentOutput(id, name)}
			if rep != nil {
				reply.VendorRequestID = rep.RequestID
			}
			return reply, nil
		}
		if err == nil || time.Now().After(until) || !pause(ctx, lostPoll) {
			break
		}
	}
	switch {
	case err != nil:
		return spec.Reply{}, err
	case again == nil:
		return spec.Reply{}, &spec.Error{
			Kind: spec.Uncertain, VendorRequestID: rep.RequestID,
			Message: "Jira accepted the file and does not list it; it may come yet",
		}
	}
	return spec.Reply{Outcome: spec.Pending, VendorRequestID: rep.RequestID}, nil
}

// attached finds an issue's attachment by its name.
func (s *session) attached(ctx context.Context, issueID, name string) (string, error) {
	var out struct {
		Fields struct {
			Attachment []struct {
				ID   json.RawMessage `json:"id"`
				Name string          `json:"filename"`
			} `json:"attachment"`
		} `json:"fields"`
	}
	_, err := s.client.DoJSON(ctx, rest.Request{Path: api("issue", issueID), Query: url.Values{"fields": {"attachment"}}}, &out)
	for _, a := range out.Fields.Attachment {
		if a.Name == name {
			return strings.Trim(string(a.ID), `"`), err
		}
	}
	return "", err
}

// fileName makes a name that no system reads as a path or a command, with the
// beginning of the content's SHA-256 before its extension.
func fileName(asked, ref string) string {
	mark := strings.TrimPrefix(ref, "sha256:")
	mark = mark[:min(len(mark), 16)]
	clean := strings.Map(func(c rune) rune {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.ContainsRune("._-", c):
			return c
		}
		return '_'
	}, path.Base(strings.ReplaceAll(asked, `\`, "/")))
	clean = strings.Trim(clean, "._-")
	ext := path.Ext(clean)
	stem := strings.TrimSuffix(clean, ext)
	if len(ext) > 9 {
		stem, ext = clean, ""
	}
	if stem == "" {
		stem, ext = "evidence", ".bin"
	}
	return stem[:min(len(stem), maxFileName)] + "-" + mark + ext
}

func attachmentOutput(id, name string) map[string]any {
	return map[string]any{"attachment_id": id, "name": name}
}
