package stream

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// older turns a ledger of n inputs without dead records, each read under an epoch
// of one byte, into the version that knew neither.
func older(meta string, n int) string {
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimPrefix(meta, ledgerPrefix))
	if err != nil {
		panic(err)
	}
	return ledgerV1 + base64.RawStdEncoding.EncodeToString(b[:len(b)-1-n*(8+1)])
}

// admin is a client of the world's Kafka for what an operator does.
func (w *world) admin() *kadm.Client {
	w.t.Helper()
	cl, err := w.client()
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(cl.Close)
	return kadm.NewClient(cl)
}

// commit sets the group's offsets on both inputs, each with the metadata, once
// the members before have left.
func (w *world) commit(at int64, meta string) {
	w.t.Helper()
	var o kadm.Offsets
	for _, topic := range []string{events, readings} {
		o.Add(kadm.Offset{Topic: topic, At: at, LeaderEpoch: -1, Metadata: meta})
	}
	adm := w.admin()
	until(w.t, "the group is empty", func() bool { return adm.CommitAllOffsets(w.t.Context(), "g", o) == nil })
}

// committed gives the metadata that the group left.
func (w *world) committed() string {
	w.t.Helper()
	o, err := w.admin().FetchOffsets(w.t.Context(), "g")
	if err != nil {
		w.t.Fatal(err)
	}
	at, _ := o.Lookup(events, 0)
	return at.Metadata
}

// remake deletes the topics and makes them anew.
func (w *world) remake() {
	w.t.Helper()
	adm := w.admin()
	if _, err := adm.DeleteTopics(w.t.Context(), events, readings); err != nil {
		w.t.Fatal(err)
	}
	if _, err := adm.CreateTopics(w.t.Context(), 1, 1, nil, events, readings); err != nil {
		w.t.Fatal(err)
	}
}

// refuses runs a member, which is to end with the error and to store nothing.
func (w *world) refuses(want error) {
	w.t.Helper()
	before, _ := w.store.count()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	if err := w.runner(nil).Run(ctx); !errors.Is(err, want) {
		w.t.Errorf("the job ends with %v, want %v", err, want)
	}
	if n, _ := w.store.count(); n != before {
		w.t.Errorf("%d rows, %d before", n, before)
	}
}

// ledgerAt is a ledger of one slot that was read to an offset, under an epoch, of
// the topics as they are.
func (w *world) ledgerAt(at int64, epoch int32) *ledger {
	w.t.Helper()
	topics, err := w.admin().ListTopics(w.t.Context(), events, readings)
	if err != nil {
		w.t.Fatal(err)
	}
	return &ledger{
		seq: 1, base: []int64{at, at}, epochs: []int32{epoch, epoch},
		topics: []uint64{topicHash(topics[events].ID), topicHash(topics[readings].ID)},
	}
}

// TestShorterLog: a log that ends before what was taken of it is refused, be it
// known by its end or by the leader that it was read from; what is written since
// at those offsets would be passed over otherwise. Each has its control: the same
// with the log as it was goes on, with every record once.
func TestShorterLog(t *testing.T) {
	bounds := func(at, pending int64, epoch int32) func(w *world) string {
		return func(w *world) string {
			l := w.ledgerAt(at, epoch)
			if pending > 0 {
				l.pending = []int64{pending, pending}
			}
			return l.encode()
		}
	}
	bare := func(*world) string { return "" }
	for name, tc := range map[string]struct {
		at      int64
		meta    func(w *world) string
		elected bool // another leader before the last 60 of 120 records
		rows    int  // that come when it is taken; 0: refused
	}{
		"committed behind the end":          {at: 120, meta: bounds(120, 0, -1), rows: 20},
		"committed past the end":            {at: 121, meta: bounds(121, 0, -1)},
		"pending up to the end":             {at: 60, meta: bounds(60, 120, -1), rows: 140},
		"pending past the end":              {at: 60, meta: bounds(60, 121, -1)},
		"set by an operator":                {at: 120, meta: bare, rows: 20},
		"set by an operator, past the end":  {at: 121, meta: bare},
		"read from the leader of now":       {at: 100, meta: bounds(100, 0, 0), rows: 60},
		"read from a leader before":         {at: 60, meta: bounds(60, 0, 0), elected: true, rows: 140},
		"cut by the next leader, and grown": {at: 61, meta: bounds(61, 0, 0), elected: true},
		"read from a leader never heard of": {at: 60, meta: bounds(60, 0, 7)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 1)
			w.produce(1, 60)
			if tc.elected {
				w.kafka.ShufflePartitionLeaders()
			}
			w.produce(1, 60)
			w.commit(tc.at, tc.meta(w))
			if tc.rows == 0 {
				w.refuses(errTruncated)
				return
			}
			w.produce(1, 10)
			w.goOn(tc.rows, whatever)
		})
	}
}

// TestRemadeTopics: topics that were made anew under offsets that stayed are
// refused, by their ids, or where an older program committed, by their ends. When
// an operator sets the offsets to the start, all that the new ones have comes.
func TestRemadeTopics(t *testing.T) {
	for name, tc := range map[string]struct {
		meta func(string) string
		grow int
		want error
	}{
		"by their ids":  {meta: func(s string) string { return s }, grow: 150, want: errRemade},
		"by their ends": {meta: func(s string) string { return older(s, 2) }, grow: 60, want: errTruncated},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.produce(1, 100)
			w.goOn(200, whatever)
			meta := w.committed()
			w.remake()
			w.commit(100, tc.meta(meta))
			w.produce(1, tc.grow)
			w.refuses(tc.want)
			w.store.mu.Lock()
			clear(w.store.rows) // the rows of the old ones have the same names here
			clear(w.store.tokens)
			w.store.mu.Unlock()
			w.commit(0, "")
			w.goOn(2*tc.grow, whatever)
		})
	}
}

// TestOlderLedger: what a program of before committed is gone on from; what one
// of later did is refused, and not taken for an offset without a ledger.
func TestOlderLedger(t *testing.T) {
	w := newWorld(t, 1)
	w.produce(1, 100)
	w.goOn(200, whatever)
	w.commit(100, older(w.committed(), 2))
	w.produce(1, 10)
	w.goOn(220, whatever)
	w.commit(110, "ff4:AAAA")
	w.produce(1, 10)
	w.refuses(errNewer)
}

// life runs a member until it ends by itself.
func (w *world) life(r *Runner) <-chan error {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	w.t.Cleanup(cancel)
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return done
}

// TestRemadeWhileRunning: a topic that is made anew under a running job ends it.
// The control is every other test: a topic that stays is looked at all the same.
func TestRemadeWhileRunning(t *testing.T) {
	w := newWorld(t, 1)
	w.produce(1, 50)
	r := w.runner(nil)
	r.watchEvery = 20 * time.Millisecond
	done := w.life(r)
	until(t, "the first rows", func() bool { n, _ := w.store.count(); return n == 100 })
	w.remake()
	if err := <-done; !errors.Is(err, errRemade) {
		t.Fatalf("the job ends with %v", err)
	}
}

// TestCutWhileRunning: when Kafka says that what a job asks for is not there, and
// it is not for retention, records were lost under it, and the job ends; the next
// finds whether they are there.
func TestCutWhileRunning(t *testing.T) {
	w := newWorld(t, 1)
	w.produce(1, 50)
	done := w.life(w.runner(nil))
	until(t, "the first rows", func() bool { n, _ := w.store.count(); return n == 100 })
	w.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: readings, Err: kerr.OffsetOutOfRange})
	w.produce(1, 50)
	if err := <-done; !errors.Is(err, errTruncated) {
		t.Fatalf("the job ends with %v", err)
	}
	w.goOn(200, whatever)
}

// TestSentBackBehindItself: records at offsets that were taken before are never
// taken for copies.
func TestSentBackBehindItself(t *testing.T) {
	w := newWorld(t, 1)
	for first, want := range map[int64]error{99: errTruncated, 100: nil, 150: nil} {
		r := w.runner(nil)
		ctx, stop := context.WithCancelCause(t.Context())
		r.stop, r.index[readings] = stop, 1
		slot := &worker{q: newQueue(2, 1<<20, &r.chunks), ahead: make([]atomic.Int64, 2)}
		slot.q.startAt([]int64{0, 100})
		r.workers[0] = slot
		r.dispatch(kgo.FetchTopicPartition{Topic: readings, FetchPartition: kgo.FetchPartition{Records: []*kgo.Record{{Offset: first}}}}, time.Now())
		if err := context.Cause(ctx); !errors.Is(err, want) {
			t.Errorf("offset %d after 100: %v", first, err)
		}
		stop(nil)
	}
}

// TestRetentionPassesARunningJob is the control of TestCutWhileRunning: what
// retention removes before a slow job has asked for it is counted, and the job
// goes on behind it.
func TestRetentionPassesARunningJob(t *testing.T) {
	w := newWorld(t, 1)
	w.cfg.BatchBytes, w.cfg.QueueBytes = 2_000, 2_000
	var away bool
	w.store.fail = func() error { // called under the store's lock
		if away {
			return Transient(errors.New("away"))
		}
		return nil
	}
	set := func(to bool) {
		w.store.mu.Lock()
		away = to
		w.store.mu.Unlock()
	}
	w.produce(1, 50)
	r := w.runner(nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	until(t, "the first rows", func() bool { n, _ := w.store.count(); return n == 100 })
	pauses := testutil.ToFloat64(r.m.pauses)
	set(true)
	w.produce(1, 300)
	until(t, "the slot is paused", func() bool { return testutil.ToFloat64(r.m.pauses) > pauses })
	w.produce(1, 300)
	w.lose(readings, 600)
	set(false)
	until(t, "what is left", func() bool {
		w.store.mu.Lock()
		defer w.store.mu.Unlock()
		n := 0
		for row := range w.store.rows {
			if strings.HasPrefix(row, readings) {
				n++
			}
		}
		return n+int(testutil.ToFloat64(r.m.skipped)) == 650 && len(w.store.rows)-n == 650
	})
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if n := testutil.ToFloat64(r.m.skipped); n == 0 {
		t.Error("retention took nothing: the test shows nothing")
	}
}
