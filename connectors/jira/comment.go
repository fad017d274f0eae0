package jira

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/quell-soar/quell/connectors/sdk/recall"
	"github.com/quell-soar/quell/connectors/sdk/rest"
	"github.com/quell-soar/quell/connectors/spec"
)

// How far back comments are looked through for a mark.
const (
	commentPage  = 100
	commentPages = 10
)

// addComment adds a comment once: it ends in a line with a mark of the effect's
// key.
func (s *session) addComment(ctx context.Context, r spec.Request) (spec.Reply, error) {
	h, err := ticketOf(r)
	if err != nil {
		return spec.Reply{}, err
	}
	mark := recall.Mark(r.Key)
	id, all, err := s.marked(ctx, h.ID, mark)
	switch {
	case err != nil && r.Mode == spec.Back && spec.KindOf(err) == spec.NotFound:
		return spec.Reply{Outcome: spec.Absent}, nil
	case err != nil:
		return spec.Reply{}, err
	case id != "" && r.Mode == spec.Back:
		return spec.Reply{Outcome: spec.Present, Output: commentOutput(id)}, nil
	case id != "":
		return spec.Reply{Outcome: spec.Already, Output: commentOutput(id)}, nil
	case r.Mode == spec.Back && !all:
		return spec.Reply{Outcome: spec.Unsure}, nil
	case r.Mode == spec.Back:
		return spec.Reply{Outcome: spec.Absent}, nil
	}
	return s.comment(ctx, r, h.ID, mark)
}

func (s *session) comment(ctx context.Context, r spec.Request, issueID, mark string) (spec.Reply, error) {
	body, _ := r.Inputs["body"].(string)
	text := bodyOf(body) + "\n" + mark
	var made struct {
		ID string `json:"id"`
	}
	rep, err := s.client.DoJSON(ctx, rest.Request{
		Method: http.MethodPost, Path: api("issue", issueID, "comment"), JSON: map[string]any{"body": document(text)},
	}, &made)
	if err != nil && spec.KindOf(err) != spec.Uncertain {
		return spec.Reply{}, err
	}
	// Whether it was answered or not, the list of comments is the proof.
	id, all, again := s.marked(ctx, issueID, mark)
	switch {
	case again == nil && id != "":
		reply := spec.Reply{Outcome: spec.Done, Output: commentOutput(id)}
		if rep != nil {
			reply.VendorRequestID = rep.RequestID
		}
		return reply, nil
	case err != nil:
		return spec.Reply{}, err
	case again == nil && all:
		return spec.Reply{}, &spec.Error{
			Kind: spec.Uncertain, VendorRequestID: rep.RequestID,
			Message: "Jira accepted the comment and does not list it; it may come yet",
		}
	}
	return spec.Reply{Outcome: spec.Pending, Output: commentOutput(made.ID), VendorRequestID: rep.RequestID}, nil
}

// marked finds the comment that ends in a mark, newest first. all is false where
// older comments were not looked at.
func (s *session) marked(ctx context.Context, issueID, mark string) (id string, all bool, err error) {
	start := 0
	for range commentPages {
		var out struct {
			Total    int `json:"total"`
			Comments []struct {
				ID   string `json:"id"`
				Body node   `json:"body"`
			} `json:"comments"`
		}
		_, err := s.client.DoJSON(ctx, rest.Request{Path: api("issue", issueID, "comment"), Query: url.Values{
			"startAt": {strconv.Itoa(start)}, "maxResults": {strconv.Itoa(commentPage)}, "orderBy": {"-created"},
		}}, &out)
		if err != nil {
			return "", false, err
		}
		for _, c := range out.Comments {
			if c.Body.lastLine() == mark {
				return c.ID, true, nil
			}
		}
		// Jira may give fewer than were asked for.
		start += len(out.Comments)
		if len(out.Comments) == 0 || start >= out.Total {
			return "", true, nil
		}
	}
	return "", false, nil
}

func commentOutput(id string) map[string]any { return map[string]any{"comment_id": id} }
