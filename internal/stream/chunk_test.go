package stream

import (
	"reflect"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"pgregory.net/rapid"
)

// TestChunkGivesRecordsBack packs records of every shape, reused memory
// included, and finds each again; what the client recycles afterwards changes
// nothing.
func TestChunkGivesRecordsBack(t *testing.T) {
	var pool chunkPool
	bytesOrNil := rapid.Custom(func(t *rapid.T) []byte {
		if rapid.Bool().Draw(t, "nil") {
			return nil
		}
		return append([]byte{}, rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "bytes")...)
	})
	rapid.Check(t, func(t *rapid.T) {
		var recs []*kgo.Record
		var want []Record
		offset := rapid.Int64Range(0, 1<<40).Draw(t, "first")
		for range rapid.IntRange(1, 20).Draw(t, "records") {
			r := &kgo.Record{
				Key: bytesOrNil.Draw(t, "key"), Value: bytesOrNil.Draw(t, "value"), Offset: offset,
				Timestamp: time.UnixMilli(rapid.Int64Range(0, 1<<42).Draw(t, "ts")),
			}
			for range rapid.IntRange(0, 3).Draw(t, "headers") {
				r.Headers = append(r.Headers, kgo.RecordHeader{Key: rapid.String().Draw(t, "name"), Value: bytesOrNil.Draw(t, "header")})
			}
			offset += rapid.Int64Range(1, 5).Draw(t, "gap")
			recs = append(recs, r)
			want = append(want, Record{Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(), Key: clone(r.Key), Value: clone(r.Value), Headers: cloneHeaders(r.Headers)})
		}
		c := pool.get()
		c.pack(recs, time.Now())
		for _, r := range recs {
			clear(r.Key)
			clear(r.Value)
		}
		total := 0
		for i := range want {
			var got Record
			c.record(i, &got)
			if !reflect.DeepEqual(got, want[i]) {
				t.Fatalf("record %d: got %+v, want %+v", i, got, want[i])
			}
			if c.below(got.Offset) != i || c.below(got.Offset+1) != i+1 {
				t.Fatalf("record %d at offset %d is not found", i, got.Offset)
			}
			total += c.bytes(i, i+1)
		}
		if all := c.bytes(0, len(want)); total != all || all < len(c.buf) {
			t.Fatalf("the parts take %d bytes, the whole %d, the memory is %d", total, all, len(c.buf))
		}
		pool.put(c)
	})
}

// TestChunkTellsEmptyFromNil packs a record without a byte: its empty key stays
// a key, its missing value missing.
func TestChunkTellsEmptyFromNil(t *testing.T) {
	var pool chunkPool
	c := pool.get()
	c.pack([]*kgo.Record{{Key: []byte{}}}, time.Now())
	var got Record
	c.record(0, &got)
	if got.Key == nil || len(got.Key) != 0 || got.Value != nil {
		t.Fatalf("key %#v and value %#v, want an empty key and no value", got.Key, got.Value)
	}
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

func cloneHeaders(hs []kgo.RecordHeader) []kgo.RecordHeader {
	var out []kgo.RecordHeader
	for _, h := range hs {
		out = append(out, kgo.RecordHeader{Key: h.Key, Value: clone(h.Value)})
	}
	return out
}

// TestQueueTakesWhatItWasGiven pushes chunks and takes batches in bounds until
// nothing waits: every record comes once, in order, and the queue's sums end at
// zero.
func TestQueueTakesWhatItWasGiven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const inputs = 2
		q := newQueue(inputs, 2000, &chunkPool{})
		next, taken := make([]int64, inputs), make([]int64, inputs)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			i := rapid.IntRange(0, inputs-1).Draw(t, "input")
			if rapid.Bool().Draw(t, "push") {
				var recs []*kgo.Record
				for range rapid.IntRange(0, 12).Draw(t, "n") {
					recs = append(recs, &kgo.Record{Offset: next[i], Value: []byte("reading")})
					next[i]++
				}
				q.push(i, recs, time.Now())
				continue
			}
			drainQueue(t, q, taken, rapid.IntRange(1, 10).Draw(t, "bound"))
		}
		for lv := q.level(); lv.records > 0; lv = q.level() {
			drainQueue(t, q, taken, 7)
		}
		if !reflect.DeepEqual(taken, next) || q.bytes != 0 || q.paused {
			t.Fatalf("pushed %v, taken %v; %d bytes left, paused %t", next, taken, q.bytes, q.paused)
		}
	})
}

// drainQueue takes one batch and checks that it goes on where taken ended.
func drainQueue(t *rapid.T, q *queue, taken []int64, bound int) {
	n := 0
	for i, to := range q.bounds(taken, bound, 1<<20) {
		views, _ := q.take(i, to)
		for _, v := range views {
			for j := v.from; j < v.to; j++ {
				var r Record
				v.c.record(j, &r)
				if r.Offset != taken[i] || string(r.Value) != "reading" {
					t.Fatalf("got offset %d (%q), want %d", r.Offset, r.Value, taken[i])
				}
				taken[i]++
				n++
			}
			if v.to == len(v.c.recs) {
				q.pool.put(v.c)
			}
		}
	}
	if n > bound {
		t.Fatalf("a batch of %d records, bound %d", n, bound)
	}
}
