package runs

import (
	"strings"
	"testing"
	"time"

	"github.com/quell-soar/quell/internal/store"
	"github.com/quell-soar/quell/internal/store/storetest"
)

// TestListUsesIndexes asks SQLite how it finds each page: through the index that
// fits the filter best, from the cursor on, and already in the order of the list.
func TestListUsesIndexes(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t, store.Options{Dir: t.TempDir()}, Schema())
	for want, f := range map[string]Filter{
		"runs_created (tenant=? AND (created,id)<(?,?)":                                        {},
		"runs_of_playbook (tenant=? AND playbook=? AND (created,id)<(?,?)":                     {Playbook: "p"},
		"runs_in_status (tenant=? AND status=? AND (created,id)<(?,?)":                         {Status: Running},
		"runs_closed_as (tenant=? AND closing=? AND (created,id)<(?,?)":                        {Closing: "failed", Status: Ended},
		"runs_of_playbook_in_status (tenant=? AND playbook=? AND status=? AND (created,id)<":   {Playbook: "p", Status: Running},
		"runs_of_playbook_closed_as (tenant=? AND playbook=? AND closing=? AND (created,id)<(": {Playbook: "p", Closing: "failed"},
		"runs_of_incident (tenant=? AND incident=? AND (created,id)<(?,?)":                     {Incident: "i", Playbook: "p", Closing: "c", Status: Ended},
	} {
		f.Tenant, f.Limit, f.Cursor = "t", 50, store.Cursor(time.Now().UnixNano(), "p/x/1")
		where, args, err := f.where()
		if err != nil {
			t.Fatal(err)
		}
		var plan string
		err = db.View(t.Context(), func(tx *store.Tx) error {
			rows, err := tx.Query(`EXPLAIN QUERY PLAN `+listQuery(where), append(args, f.Limit)...)
			if err != nil {
				return err
			}
			defer func() { _ = rows.Close() }()
			for rows.Next() {
				var id, parent, unused int
				var detail string
				if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
					return err
				}
				plan += detail + "; "
			}
			return rows.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(plan, want) || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("%+v: %s want %s", f, plan, want)
		}
	}
}
