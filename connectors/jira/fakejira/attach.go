package fakejira

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strconv"

	"github.com/quell-soar/quell/connectors/fake"
)

// document is a text as Atlassian's document format has it.
func document(text string) json.RawMessage {
	raw, err := json.Marshal(map[string]any{"type": "doc", "version": 1, "content": []any{
		map[string]any{"type": "paragraph", "content": []any{map[string]any{"type": "text", "text": text}}},
	}})
	if err != nil {
		return nil // plain data: it never fails
	}
	return raw
}

// attach takes the files of a multipart form. A second one of the same name
// stands beside the first.
func (j *Jira) attach(c *fake.Call, i *issue) fake.Act {
	if c.Header.Get("X-Atlassian-Token") != "no-check" {
		return fake.Say(i.key, failure(c, http.StatusForbidden, "XSRF check failed"))
	}
	_, params, err := mime.ParseMediaType(c.Header.Get("Content-Type"))
	var files []attachment
	for form := multipart.NewReader(bytes.NewReader(c.Body), params["boundary"]); err == nil; {
		part, end := form.NextPart()
		if end != nil {
			break
		}
		content, bad := io.ReadAll(part)
		if err = bad; part.FormName() == "file" && part.FileName() != "" {
			files = append(files, attachment{name: part.FileName(), content: content})
		}
	}
	if err != nil || len(files) == 0 {
		return fake.Say(i.key, failure(c, http.StatusBadRequest, "No file was sent."))
	}
	return fake.Act{Object: i.key, Run: func() fake.Done {
		done := fake.Done{}
		made := []any{}
		for _, f := range files {
			j.serial++
			f.id, f.created = j.serial, j.world.Clock().Now()
			i.attachments = append(i.attachments, f)
			made = append(made, f.show(j.base))
			done.Effects = append(done.Effects, fake.Change{Object: i.key, Key: f.name, After: strconv.Itoa(len(f.content)) + " bytes"})
		}
		done.Answer = success(c, http.StatusOK, made)
		return done
	}}
}

// show is an attachment as the API tells it.
func (a attachment) show(base string) map[string]any {
	id := strconv.Itoa(a.id)
	return map[string]any{
		"id": id, "self": base + "/rest/api/3/attachment/" + id, "content": base + "/rest/api/3/attachment/content/" + id,
		"filename": a.name, "size": len(a.content), "mimeType": "application/octet-stream", "created": a.created.UTC().Format("2006-01-02T15:04:05.000Z"),
	}
}
