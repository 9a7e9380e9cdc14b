package embedded

import (
	"fmt"
	"strings"
	"sync"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
	"github.com/foodflow/foodflow/clickhouse/embedded/wire"
)

// running knows the statements under way by the ids their clients gave them.
// The engine makes up ids of its own, so what names a client's id is translated.
type running struct {
	mu   sync.Mutex // guards tags
	tags map[string]string
}

// enter notes that the statement id runs on the connection tag. Two with one id
// at a time are refused, as ClickHouse does: a KILL would not know which to end.
func (r *running) enter(id, tag string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, there := r.tags[id]; there {
		return chdb.Raise(codeSameID, "QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING", "Query with id = %s is already running", id)
	}
	if r.tags == nil {
		r.tags = map[string]string{}
	}
	r.tags[id] = tag
	return nil
}

func (r *running) leave(id string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.tags, id)
}

func (r *running) tag(id string) (string, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tag, ok := r.tags[id]
	return tag, ok
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
