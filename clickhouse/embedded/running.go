package embedded

import (
	"fmt"
	"strings"
	"sync"
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
		return &Exception{Code: codeSameID, Text: fmt.Sprintf("Code: %d. DB::Exception: Query with id = %s is already running. (QUERY_WITH_SAME_ID_IS_ALREADY_RUNNING)", codeSameID, id)}
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
func (r *running) translate(c *conn, text string) (string, error) {
	sc := scanner{s: text}
	head, _ := sc.word()
	if !strings.EqualFold(head, "KILL") && !strings.Contains(text, "processes") {
		return text, nil
	}
	var out strings.Builder
	done := 0
	for sc = (scanner{s: text}); ; {
		w, ok := sc.word()
		if !ok {
			break
		}
		if w[0] != '\'' || len(w) < 2 {
			continue
		}
		tag, ok := r.tag(w[1 : len(w)-1])
		if !ok {
			continue
		}
		id, _, err := c.exec("SELECT query_id FROM system.processes WHERE Settings['"+tagSetting+"'] = "+quoteText(tag)+" LIMIT 1", "TSVRaw", nil)
		if err != nil {
			return "", fmt.Errorf("looking up a statement: %w", err)
		}
		if len(id) == 0 {
			continue
		}
		out.WriteString(text[done : sc.pos-len(w)])
		out.WriteString(quoteText(string(trimLine(id))))
		done = sc.pos
	}
	out.WriteString(text[done:])
	return out.String(), nil
}
