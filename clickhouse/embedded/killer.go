package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// tagSetting is a setting that has no effect here (it chooses a queue for table
// engines the pipeline doesn't use). The engine makes up its own query ids, but
// shows settings in system.processes, so a value of it names the connection
// that a statement runs on.
const tagSetting = "stream_like_engine_insert_queue"

// killer cancels statements of other connections from one of its own.
type killer struct {
	logger *slog.Logger

	mu    sync.Mutex // guards c and count
	c     *conn
	count uint64
}

// label gives a connection its name.
func (k *killer) label(c *conn) error {
	k.mu.Lock()
	k.count++
	c.tag = fmt.Sprintf("foodflow-%d", k.count)
	k.mu.Unlock()
	if _, _, err := c.exec("SET "+tagSetting+" = "+quoteText(c.tag), "Null", nil); err != nil {
		return fmt.Errorf("labelling connection: %w", err)
	}
	return nil
}

// watch cancels the statement on c when ctx ends. The function it returns ends
// the watch and must be called before c is used for anything else: after it no
// cancel is under way.
func (k *killer) watch(ctx context.Context, c *conn) func() {
	over, gone := make(chan struct{}), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(gone)
		// The statement may not have begun yet, so once isn't enough.
		for {
			k.kill(c.tag)
			select {
			case <-over:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return func() {
		close(over)
		if !stop() {
			<-gone
		}
	}
}

func (k *killer) kill(tag string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, _, err := k.c.exec("KILL QUERY WHERE Settings['"+tagSetting+"'] = "+quoteText(tag)+" ASYNC", "Null", nil); err != nil {
		k.logger.Warn("cancelling a statement whose client is gone", "error", err)
	}
}
