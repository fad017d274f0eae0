package fakegraph

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/quell-soar/quell/connectors/fake"
)

func folderID(a *account, name string) string { return opaque("folder", a.id, name) }

// folderOf finds a folder by its id or well-known name.
func folderOf(a *account, id string) (string, bool) {
	for _, name := range []string{"inbox", "deleteditems", "junkemail", "recoverableitemsdeletions", "archive"} {
		if id == name || id == folderID(a, name) {
			return name, true
		}
	}
	for _, l := range a.copies {
		if id == folderID(a, l.seed.Folder) {
			return l.seed.Folder, true
		}
	}
	return "", false
}

// idOf is the copy's id as this client shall see it: without the wish for
// immutable ids, it changes with the folder.
func (l *letter) idOf(c *fake.Call, now time.Time) string {
	if strings.Contains(c.Header.Get("Prefer"), `IdType="ImmutableId"`) {
		return l.id
	}
	return opaque("mutable", l.id, l.folder.at(now))
}

func (l *letter) body(c *fake.Call, now time.Time) map[string]any {
	address := map[string]any{"emailAddress": map[string]any{"address": l.seed.From, "name": l.seed.From}}
	return map[string]any{
		"id": l.idOf(c, now), "parentFolderId": folderID(l.owner, l.folder.at(now)), "internetMessageId": l.seed.MessageID,
		"subject": l.seed.Subject, "receivedDateTime": l.at.Format(time.RFC3339), "from": address, "sender": address,
	}
}

// onMailbox makes an act about the mailbox of the path.
func (g *Graph) onMailbox(c *fake.Call, run func(a *account, now time.Time, lag time.Duration) fake.Done) fake.Act {
	return g.onUser(c, func(a *account, now time.Time, lag time.Duration) fake.Done {
		if a.mail == "" {
			return fake.Done{Answer: refuse(c, http.StatusNotFound, "MailboxNotEnabledForRESTAPI", "The mailbox is either inactive, soft-deleted, or is hosted on-premise.")}
		}
		return run(a, now, lag)
	})
}

var byMessageID = regexp.MustCompile(`^internetMessageId eq '((?:[^']|'')*)'$`)

// listMessages shows what lies in a mailbox. Recoverable items are not shown.
func (g *Graph) listMessages(c *fake.Call) fake.Act {
	filter := c.URL.Query().Get("$filter")
	m := byMessageID.FindStringSubmatch(filter)
	if filter != "" && m == nil {
		return fake.Say("", refuse(c, http.StatusBadRequest, "ErrorInvalidUrlQueryFilter", "The query filter contains one or more invalid nodes."))
	}
	return g.onMailbox(c, func(a *account, now time.Time, _ time.Duration) fake.Done {
		all := []map[string]any{}
		for _, l := range a.copies {
			if (m == nil || l.seed.MessageID == strings.ReplaceAll(m[1], "''", "'")) && l.folder.at(now) != "recoverableitemsdeletions" {
				all = append(all, l.body(c, now))
			}
		}
		return g.paged(c, all)
	})
}

// onLetter makes an act about the copy of the path.
func (g *Graph) onLetter(c *fake.Call, run func(l *letter, now time.Time, lag time.Duration) fake.Done) fake.Act {
	return g.onMailbox(c, func(a *account, now time.Time, lag time.Duration) fake.Done {
		for _, l := range a.copies {
			if l.idOf(c, now) == c.PathValue("message") {
				return run(l, now, lag)
			}
		}
		return fake.Done{Answer: refuse(c, http.StatusNotFound, "ErrorItemNotFound", "The specified object was not found in the store.")}
	})
}

func (g *Graph) oneMessage(c *fake.Call) fake.Act {
	return g.onLetter(c, func(l *letter, now time.Time, _ time.Duration) fake.Done { return one(c, l.body(c, now)) })
}

func (g *Graph) mime(c *fake.Call) fake.Act {
	return g.onLetter(c, func(l *letter, _ time.Time, _ time.Duration) fake.Done {
		text := fmt.Sprintf("Message-ID: %s\r\nFrom: %s\r\nTo: %s\r\nSubject: %s\r\n\r\n%s\r\n", l.seed.MessageID, l.seed.From, l.owner.mail, l.seed.Subject, l.seed.Body)
		a := reply(c, http.StatusOK, []byte(text))
		a.Header["Content-Type"] = "text/plain"
		return fake.Done{Answer: a}
	})
}

func (g *Graph) move(c *fake.Call) fake.Act {
	var in struct {
		To string `json:"destinationId"`
	}
	if err := c.JSON(&in); err != nil || in.To == "" {
		return fake.Say("", refuse(c, http.StatusBadRequest, "ErrorInvalidRequest", "Invalid body."))
	}
	return g.onLetter(c, func(l *letter, now time.Time, lag time.Duration) fake.Done {
		name, ok := folderOf(l.owner, in.To)
		if !ok {
			return fake.Done{Answer: refuse(c, http.StatusNotFound, "ErrorFolderNotFound", "The specified folder could not be found in the store.")}
		}
		before := l.folder.value
		l.folder.set(name, now, lag)
		return done(c, http.StatusCreated, l.body(c, now), fake.Change{Object: l.owner.seed.Name, Before: before, After: name})
	})
}

func (g *Graph) getFolder(c *fake.Call) fake.Act {
	return g.onMailbox(c, func(a *account, _ time.Time, _ time.Duration) fake.Done {
		name, ok := folderOf(a, c.PathValue("folder"))
		if !ok {
			return fake.Done{Answer: refuse(c, http.StatusNotFound, "ErrorFolderNotFound", "The specified folder could not be found in the store.")}
		}
		return one(c, map[string]any{"id": folderID(a, name), "displayName": name})
	})
}

func (r *rule) body(now time.Time) map[string]any {
	actions := map[string]any{"delete": r.seed.Delete, "stopProcessingRules": true}
	if len(r.seed.Forward) > 0 {
		to := []any{}
		for _, address := range r.seed.Forward {
			to = append(to, map[string]any{"emailAddress": map[string]any{"address": address, "name": address}})
		}
		actions["forwardTo"] = to
	}
	return map[string]any{"id": r.id, "displayName": r.seed.Name, "sequence": 1, "isEnabled": r.enabled.at(now), "hasError": false, "isReadOnly": false, "actions": actions}
}

func (g *Graph) listRules(c *fake.Call) fake.Act {
	return g.onMailbox(c, func(a *account, now time.Time, _ time.Duration) fake.Done {
		all := []map[string]any{}
		for _, r := range a.rules {
			all = append(all, r.body(now))
		}
		return g.paged(c, all)
	})
}

func (g *Graph) oneRule(change bool) func(c *fake.Call) fake.Act {
	return func(c *fake.Call) fake.Act {
		var in struct {
			Enabled *bool `json:"isEnabled"`
		}
		if err := c.JSON(&in); change && (err != nil || in.Enabled == nil) {
			return fake.Say("", refuse(c, http.StatusBadRequest, "ErrorInvalidRequest", "Invalid body."))
		}
		return g.onMailbox(c, func(a *account, now time.Time, lag time.Duration) fake.Done {
			for _, r := range a.rules {
				if r.id != c.PathValue("rule") {
					continue
				}
				if !change {
					return one(c, r.body(now))
				}
				before := able(r.enabled.value)
				r.enabled.set(*in.Enabled, now, lag)
				return done(c, http.StatusOK, r.body(now), fake.Change{Object: a.seed.Name, Before: before, After: able(*in.Enabled)})
			}
			return fake.Done{Answer: refuse(c, http.StatusNotFound, "ErrorItemNotFound", "The specified object was not found in the store.")}
		})
	}
}

// command is Exchange's admin API: a cmdlet by its name, for the senders of the
// tenant's allow and block list.
func (g *Graph) command(c *fake.Call) fake.Act {
	var in struct {
		Input struct {
			Name       string `json:"CmdletName"`
			Parameters struct {
				ListType, Entry, Notes string
				Entries                []string
				Block, NoExpiration    bool
			}
		} `json:"CmdletInput"`
	}
	p := &in.Input.Parameters
	if err := c.JSON(&in); err != nil || p.ListType != "Sender" || c.PathValue("tenant") != g.tenant || in.Input.Name != c.Header.Get("X-CmdletName") {
		return fake.Say("", refuse(c, http.StatusBadRequest, "BadRequest", "The command could not be read."))
	}
	address := p.Entry
	if len(p.Entries) == 1 {
		address = p.Entries[0]
	}
	address = strings.ToLower(address)
	return fake.Act{Object: address, Run: func() fake.Done {
		now, lag := g.world.Clock().Now(), g.world.LagOf("entra.replication")
		s := g.senders[address]
		if s == nil {
			none := steady("")
			s = &none
		}
		line := func(action string) map[string]any {
			return map[string]any{"value": []any{map[string]any{"Value": address, "Action": action, "Error": "", "ListSubType": "Tenant"}}}
		}
		switch in.Input.Name {
		case "Get-TenantAllowBlockListItems":
			if action := s.at(now); action != "" {
				return done(c, http.StatusOK, line(action))
			}
			return done(c, http.StatusOK, map[string]any{"value": []any{}})
		case "New-TenantAllowBlockListItems":
			if s.value != "" {
				return fake.Done{Answer: refuse(c, http.StatusBadRequest, "BadRequest", "Duplicate values.")}
			}
			g.senders[address] = s
			s.set("Block", now, lag)
			return done(c, http.StatusOK, line("Block"), fake.Change{Object: address, After: "Block"})
		case "Remove-TenantAllowBlockListItems":
			before := s.value
			if before == "" {
				return fake.Done{Answer: refuse(c, http.StatusBadRequest, "BadRequest", "The entry was not found.")}
			}
			s.set("", now, lag)
			return done(c, http.StatusOK, line(before), fake.Change{Object: address, Before: before})
		}
		return fake.Done{Answer: refuse(c, http.StatusBadRequest, "BadRequest", "The term is not recognized as the name of a cmdlet.")}
	}}
}

// SeedSender sets how a sender stands in the allow and block list: Block, Allow.
func (g *Graph) SeedSender(address, action string) {
	g.world.Do(func() {
		s := steady(action)
		g.senders[strings.ToLower(address)] = &s
	})
}
