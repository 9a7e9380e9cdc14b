package snapshot

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/stream"
)

// TestForgetKeepsOtherGroups: two groups keep their states on one partition. What
// one forgets never takes the other's last snapshot with it; what stands behind
// that is left to compaction, and removed once the other has gone on. That a
// group alone removes what it forgets shows TestHasKnowsWhose.
func TestForgetKeepsOtherGroups(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "states"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	open := func(opts ...kgo.Opt) (*kgo.Client, error) {
		return kgo.NewClient(append(opts, kgo.SeedBrokers(c.ListenAddrs()...))...)
	}
	store := func(group string) *Store {
		s, err := New("states", group, open, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Close)
		return s
	}
	save := func(s *Store, state string) stream.Ref {
		t.Helper()
		ref, err := s.Save(t.Context(), 0, []byte(state))
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	holds := func(s *Store, ref stream.Ref, want string) {
		t.Helper()
		if got, err := s.Load(t.Context(), 0, ref); err != nil || string(got) != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	// The partition begins at an offset, with so many keys that compaction keeps.
	begins := func(want int64, keys int) {
		t.Helper()
		cl, err := open()
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		adm := kadm.NewClient(cl)
		starts, err := adm.ListStartOffsets(t.Context(), "states")
		if err != nil {
			t.Fatal(err)
		}
		ends, err := adm.ListEndOffsets(t.Context(), "states")
		if err != nil {
			t.Fatal(err)
		}
		start, _ := starts.Lookup("states", 0)
		end, _ := ends.Lookup("states", 0)
		reader, err := open(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"states": {0: kgo.NewOffset().At(start.Offset)}}))
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		live := map[string]bool{}
		for at := start.Offset; at < end.Offset; {
			fs := reader.PollFetches(t.Context())
			if err := fs.Err(); err != nil {
				t.Fatal(err)
			}
			fs.EachRecord(func(r *kgo.Record) {
				if at = r.Offset + 1; r.Value != nil {
					live[string(r.Key)] = true
				} else {
					delete(live, string(r.Key))
				}
			})
		}
		if start.Offset != want || len(live) != keys {
			t.Errorf("the partition begins at %d with %d chunks, want %d and %d", start.Offset, len(live), want, keys)
		}
	}
	a, b := store("a"), store("b")
	large := string(bytes.Repeat([]byte("a1"), chunkSize)) // of two chunks
	b1 := save(b, "b1")
	a1 := save(a, large)
	a2 := save(a, "a2")
	a.Forget(t.Context(), 0, a1)
	begins(b1.Start, 2)
	holds(b, b1, "b1")
	holds(a, a2, "a2")
	b2 := save(b, "b2")
	b.Forget(t.Context(), 0, b1)
	begins(a1.Start, 2)
	a3 := save(a, "a3")
	a.Forget(t.Context(), 0, a2)
	begins(a2.End, 2)
	holds(b, b2, "b2")

	a = store("a") // another process, which knows what it loads
	holds(a, a3, "a3")
	a4 := save(a, "a4")
	a.Forget(t.Context(), 0, a3)
	begins(b2.Start, 2)
	holds(b, b2, "b2")
	holds(a, a4, "a4")
}
