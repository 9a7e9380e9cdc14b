package stream

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// TestMorePartitions raises the partitions of one input, then of the other, under
// a running job: what was whole goes on meanwhile, and what waited comes.
func TestMorePartitions(t *testing.T) {
	w := newWorld(t, 2)
	w.produce(2, 50)
	w.opts = append(w.opts, kgo.MetadataMaxAge(200*time.Millisecond))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	r := w.runner(nil)
	go func() { done <- r.Run(ctx) }()
	rows := func(want int) {
		t.Helper()
		until(t, "rows", func() bool { n, _ := w.store.count(); return n == want })
	}
	raise := func(topic string) {
		t.Helper()
		if p, err := w.admin().CreatePartitions(t.Context(), 2, topic); err != nil || p.Error() != nil {
			t.Fatal(err, p.Error())
		}
	}
	rows(200)
	raise(readings)
	w.produceTo([]string{readings}, 4, 10) // partitions 2 and 3 of readings wait
	rows(220)
	raise(events)
	w.produceTo([]string{events}, 4, 10)
	rows(280)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}
