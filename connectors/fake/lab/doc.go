// Package lab puts all fakes of vendors behind one listener on the loopback
// interface, with one world and one control API. cmd/quell-lab is its program;
// tests start it in process.
//
// Paths: /falcon, /jira, /entra, /okta, /slack, /panos, /virustotal, /splunk and
// /asset are the vendors' APIs, /_lab is the control API. A mail relay listens
// beside them.
//
//	GET  /_lab/world?vendor=             every object, in a fixed order
//	GET  /_lab/effects?vendor=&operation=&object=&key=&after=
//	GET  /_lab/script, PUT /_lab/script  the faults, as text (see package fake)
//	GET  /_lab/lag, PUT /_lab/lag        {"crowdstrike.containment": "2s"}
//	POST /_lab/hosts                     {"count": 2000, "prefix": "host-"} or {"hosts": […]}
//	POST /_lab/files                     {"files": […]}
//	POST /_lab/entra/users               {"users": […]}
//	POST /_lab/entra/messages            {"messages": […]}
//	POST /_lab/okta                      {"users": […], "groups": […]}
//	POST /_lab/slack                     {"users": […], "channels": […]}
//	POST /_lab/virustotal                {"collection": "urls", "id": "https://evil.example/", "stats": {…}}
//	POST /_lab/splunk                    {"name": "Quell sign-ins", "by": {"user": "user"}, "rows": […]}
//	POST /_lab/assets                    {"entries": […]}
//
// Okta's accounts are described at fakeokta.User, people and channels of Slack at
// fakeslack; what the relay took stands in the world. Accounts and messages of
// Entra are described at fakegraph.User and fakegraph.Message,
// hosts and files at fakefalcon.Host and fakefalcon.File, counts of engines at
// fakevt.Stats, saved searches at fakesplunk.Saved, entries of the inventory at
// fakeasset.Entry.
package lab
