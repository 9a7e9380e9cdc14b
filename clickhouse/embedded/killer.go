package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
)

// tagSetting is a setting that has no effect here (it chooses a queue for table
// engines the pipeline doesn't use). The engine makes up its own query ids, but
// shows settings in system.processes, so a value of it names the connection
// that a statement runs on.
const tagSetting = "stream_like_engine_insert_queue"

// A statement that hasn't begun can't be cancelled and one in its first moments
// may miss it, so the engine is asked again until the statement has ended.
const (
	killFirst = 10 * time.Millisecond
	killPause = 160 * time.Millisecond // doubled up to this
)

// killer cancels statements of other connections from one of its own. All that
// wait for their end are cancelled by one statement a round, so that many
// clients that leave at once don't queue up.
type killer struct {
	logger *slog.Logger
	count  atomic.Uint64

	round sync.Mutex // held while a KILL runs; guards c
	c     *conn

	mu     sync.Mutex // guards wanted and going; taken inside round
	wanted map[string]struct{}
	going  bool
}

// connect makes a connection with a name, and the analyst's if there is one.
func (k *killer) connect(dial func() (*chdb.Conn, error), a *Analyst) (*conn, error) {
	raw, err := dial()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw, reset: func(string) string { return "DEFAULT" }}
	name := "default"
	if a != nil {
		name = a.Name
	}
	c.tag = fmt.Sprintf("%s%d", tagPrefix(name), k.count.Add(1))
	setup := []string{"SET " + tagSetting + " = " + quoteText(c.tag)}
	if a != nil {
		setup, c.reset = append(setup, a.setup()...), a.reset
	}
	for _, s := range setup {
		if err := c.Do(s); err != nil {
			c.Close()
			return nil, fmt.Errorf("preparing a connection: %w", err)
		}
	}
	return c, nil
}

// settle makes the engine forget the statement that ended on c in an error or
// was cancelled: until the next one it would be listed as running, and a KILL
// that waits for its end would wait on.
func (k *killer) settle(c *conn) {
	if err := c.Do("SET " + tagSetting + " = " + quoteText(c.tag)); err != nil {
		k.logger.Debug("settling a connection", "error", err) // the next statement on it does the same
	}
}

// watch cancels the statement on c when ctx ends. The function it returns ends
// the watch and must be called before c is used for anything else: after it no
// cancel is under way, and none comes.
func (k *killer) watch(ctx context.Context, c *conn) func() {
	asked := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(asked)
		k.want(c.tag)
	})
	return func() {
		if stop() {
			return
		}
		<-asked
		k.mu.Lock()
		delete(k.wanted, c.tag)
		k.mu.Unlock()
		// A round that began before may still name the tag.
		k.round.Lock()
		k.round.Unlock() //nolint:staticcheck // waiting is the purpose
	}
}

// want adds a tag to those whose statement is to end.
func (k *killer) want(tag string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.wanted == nil {
		k.wanted = map[string]struct{}{}
	}
	k.wanted[tag] = struct{}{}
	if !k.going {
		k.going = true
		go k.rounds()
	}
}

// rounds ends when no tag is wanted any more, which is when the last of their
// requests ends.
func (k *killer) rounds() {
	for pause := killFirst; ; pause = min(2*pause, killPause) {
		if !k.kill() {
			return
		}
		time.Sleep(pause)
	}
}

// kill asks the engine once for all wanted tags and says whether there were any.
func (k *killer) kill() bool {
	k.round.Lock()
	defer k.round.Unlock()
	k.mu.Lock()
	tags := make([]string, 0, len(k.wanted))
	for tag := range k.wanted {
		tags = append(tags, quoteText(tag))
	}
	k.going = len(tags) > 0
	k.mu.Unlock()
	if len(tags) == 0 {
		return false
	}
	// ASYNC marks the statements before it returns and doesn't wait for their end.
	if _, _, err := k.c.Exec("KILL QUERY WHERE Settings['"+tagSetting+"'] IN ("+strings.Join(tags, ", ")+") ASYNC", "Null", nil); err != nil {
		k.logger.Warn("cancelling statements whose clients are gone", "statements", len(tags), "error", err)
	}
	return true
}
