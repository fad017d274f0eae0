package engine

import (
	"context"
	"strings"

	"go.temporal.io/server/chasm"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/dynamicconfig"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/namespace"
	"go.temporal.io/server/common/persistence/serialization"
	"go.temporal.io/server/common/persistence/visibility/store"
	"go.temporal.io/server/common/persistence/visibility/store/sql"
	"go.temporal.io/server/common/resolver"
	"go.temporal.io/server/common/searchattribute"
)

// ours is how the types of Quell's workflows begin.
const ours = "quell."

// fewListed is the server's list of workflows without Quell's own. Quell lists its
// runs from its own store, and nobody else reaches the embedded server; Temporal
// needs the list for its schedules. Kept in SQLite, with an index for full text,
// it took a third of the processor time of a short run, and two commits on the one
// connection that the run itself waits for.
type fewListed struct{ store.VisibilityStore }

func (l fewListed) RecordWorkflowExecutionStarted(ctx context.Context, r *store.InternalRecordWorkflowExecutionStartedRequest) error {
	if strings.HasPrefix(r.WorkflowTypeName, ours) {
		return nil
	}
	return l.VisibilityStore.RecordWorkflowExecutionStarted(ctx, r)
}

func (l fewListed) RecordWorkflowExecutionClosed(ctx context.Context, r *store.InternalRecordWorkflowExecutionClosedRequest) error {
	if strings.HasPrefix(r.WorkflowTypeName, ours) {
		return nil
	}
	return l.VisibilityStore.RecordWorkflowExecutionClosed(ctx, r)
}

func (l fewListed) UpsertWorkflowExecution(ctx context.Context, r *store.InternalUpsertWorkflowExecutionRequest) error {
	if strings.HasPrefix(r.WorkflowTypeName, ours) {
		return nil
	}
	return l.VisibilityStore.UpsertWorkflowExecution(ctx, r)
}

// lists makes the list in the database of all else.
type lists struct{ db config.SQL }

func (l lists) NewVisibilityStore(
	_ config.CustomDatastoreConfig, attributes searchattribute.Provider, mapper searchattribute.MapperProvider, _ namespace.Registry,
	registry *chasm.Registry, r resolver.ServiceResolver, logger log.Logger, m metrics.Handler,
) (store.VisibilityStore, error) {
	s, err := sql.NewSQLVisibilityStore(l.db, r, attributes, mapper, registry, dynamicconfig.GetBoolPropertyFn(true), logger, m, serialization.NewSerializer())
	if err != nil {
		return nil, err
	}
	return fewListed{s}, nil
}
