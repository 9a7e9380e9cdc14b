package embedded

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
	"github.com/foodflow/foodflow/clickhouse/embedded/wire"
)

// running knows the statements under way by the ids their clients gave them.
// The engine makes up ids of its own, so what names a client's id is translated.
type running struct {
	mu  sync.Mutex // guards all
	all map[string]underway
}

// underway is a statement that runs.
type underway struct {
	tag   string          // of its connection
	abort func(error)     // asks it to end
	gone  <-chan struct{} // closed when it has left
}

// replaceWait is ClickHouse's replace_running_query_max_wait_ms.
const replaceWait = 5 * time.Second

// enter notes that the statement id runs on the connection tag, until leave is
// called. Two with one id at a time are refused, as ClickHouse does: a KILL would
// not know which to end. With replace the earlier one is ended first.
func (r *running) enter(ctx context.Context, id string, mine underway, replace bool) (leave func(), err error) {
	timeout := time.NewTimer(replaceWait)
	defer timeout.Stop()
	for {
		r.mu.Lock()
		old, there := r.all[id]
		if !there {
			if r.all == nil {
				r.all = map[string]underway{}
			}
			gone := make(chan struct{})
			mine.gone = gone
			r.all[id] = mine
			r.mu.Unlock()
			return func() {
				r.mu.Lock()
				defer r.mu.Unlock()
				delete(r.all, id)
				close(gone)
			}, nil
		}
		r.mu.Unlock()
		if !replace {
			return nil, chdb.Raise(codeSameID, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", "Query with id = %s is already running", id)
		}
		old.abort(chdb.Raise(codeCancelled, "QUERY_WAS_CANCELLED", "Query was cancelled: another one with its id replaces it"))
		select {
		case <-old.gone:
		case <-timeout.C:
			return nil, chdb.Raise(codeSameID, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", "Query with id = %s is already running and can't be stopped", id)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

func (r *running) tag(id string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	u, ok := r.all[id]
	return u.tag, ok
}

// translate puts the engine's ids in place of clients' ids in a statement that
// kills statements or lists them; c looks them up.
func (r *running) translate(c *conn, st wire.Statement) (wire.Statement, error) {
	if head, _ := st.Head(); head != "KILL" && !strings.Contains(st.Text, "processes") {
		return st, nil
	}
	return st.MapTexts(func(inner string) (string, bool, error) {
		tag, ok := r.tag(inner)
		if !ok {
			return "", false, nil
		}
		id, _, err := c.Exec("SELECT query_id FROM system.processes WHERE Settings['"+tagSetting+"'] = "+quoteText(tag)+" LIMIT 1", "TSVRaw", nil)
		if err != nil {
			return "", false, fmt.Errorf("looking up a statement: %w", err)
		}
		return quoteText(string(trimLine(id))), len(id) > 0, nil
	})
}
