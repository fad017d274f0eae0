// Package asset looks hosts and persons up in an inventory: a CSV file, or an
// HTTP service that answers JSON.
//
// What the inventory does not have is not_found. What it has and does not rate is
// of high criticality: a thing that nobody rated must not pass for harmless. Two
// entries of one name are ambiguous.
//
// # The file
//
// The first line names the columns: kind (host or user) and name are needed;
// aliases, criticality, owner, tags and vip may be there. Aliases and tags are
// separated by semicolons. Upper and lower case of names are the same.
//
//	kind,name,aliases,criticality,owner,tags,vip
//	host,web-01,web-01.corp.example,critical,payments,pci;dmz,no
//	user,ann@corp.example,ann,high,cfo@corp.example,,yes
//
// It is read again when it has changed. A file that cannot be read then leaves the
// last good one in force, which Check tells. The connector's process may read only
// what the instance's reads name.
//
// # The service
//
// GET BASE/hosts?name=NAME and GET BASE/users?name=NAME answer what may match,
// with the same names of fields; next, where it is there, is the value of cursor
// for the next page:
//
//	{"items": [{"name": "web-01", "aliases": [], "criticality": "critical", "owner": "payments", "tags": ["pci"], "vip": false}], "next": "2"}
package asset
