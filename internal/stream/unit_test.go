package stream

import (
	"fmt"
	"math"
	"reflect"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"
)

func counterValue(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	return testutil.ToFloat64(c)
}

func TestLedgerRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 3).Draw(t, "inputs")
		offset := rapid.Int64Range(0, 1<<40)
		l := &ledger{seq: rapid.Uint64().Draw(t, "seq"), generation: rapid.Uint64().Draw(t, "generation")}
		prev := make([]int64, n)
		next := func() []int64 {
			out := make([]int64, n)
			for i := range out {
				out[i] = prev[i] + offset.Draw(t, "step")
			}
			prev = out
			return out
		}
		l.base = next()
		l.snap = Ref{offset.Draw(t, "start"), offset.Draw(t, "end")}
		for range rapid.IntRange(0, 20).Draw(t, "batches") {
			l.journal = append(l.journal, next())
		}
		if rapid.Bool().Draw(t, "dead") {
			for i := range n {
				from := l.base[i]
				for range rapid.IntRange(0, 5).Draw(t, "spans") {
					from += 1 + rapid.Int64Range(0, 1000).Draw(t, "gap")
					var dead []Dead
					for range rapid.IntRange(1, 3).Draw(t, "length") {
						dead = append(dead, Dead{Record: Record{Input: i, Offset: from}})
						from++
					}
					l.bury(dead)
					if spans(dead) != 1 || !l.isDead(i, from-1) || l.isDead(i, from) || l.isDead(i, dead[0].Record.Offset-1) {
						t.Fatalf("%v of %v", dead, l.dead)
					}
				}
			}
		}
		if rapid.Bool().Draw(t, "pending") {
			l.pending = next()
		}
		for range n {
			l.topics = append(l.topics, rapid.Uint64().Draw(t, "topic"))
			l.epochs = append(l.epochs, rapid.Int32Range(-1, math.MaxInt32-1).Draw(t, "epoch"))
		}
		got, err := decodeLedger(l.encode(), n)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, l) {
			t.Fatalf("got %+v, want %+v", got, l)
		}
		if _, err := decodeLedger(l.encode(), n+1); err == nil {
			t.Fatal("a ledger of another number of inputs was taken")
		}
	})
}

func FuzzDecodeLedger(f *testing.F) {
	l := ledger{base: []int64{5, 9}, journal: [][]int64{{7, 9}}, pending: []int64{8, 8}}
	f.Add(l.encode())
	f.Add(older(l.encode(), 2))
	l.bury([]Dead{{Record: Record{Input: 1, Offset: 11}}, {Record: Record{Input: 1, Offset: 12}}})
	f.Add(l.encode())
	f.Fuzz(func(t *testing.T, s string) {
		l, err := decodeLedger(s, 2)
		if err != nil {
			return
		}
		again, err := decodeLedger(l.encode(), 2)
		if err != nil || !reflect.DeepEqual(l, again) {
			t.Fatalf("%q does not survive a round trip: %v", s, err)
		}
	})
}

// TestAssign holds the balancer's promises: every slot has one member, members
// differ by one at most, and no slot moves that need not.
func TestAssign(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slots := int32(rapid.IntRange(1, 40).Draw(t, "slots"))
		n := rapid.IntRange(1, 8).Draw(t, "members")
		members := make([]holder, n)
		for i := range members {
			members[i] = holder{id: fmt.Sprint("m", i), index: i, generation: int32(rapid.IntRange(-1, 3).Draw(t, "gen"))}
			for p := range slots {
				if rapid.IntRange(0, n).Draw(t, "owns") == 0 {
					members[i].owned = append(members[i].owned, p)
				}
			}
		}
		out := assign(members, slots)
		check(t, out, slots)
		// Balanced holdings that nobody contests stay as they are.
		for i := range members {
			members[i].owned = out[i]
		}
		if again := assign(members, slots); !sameSets(again, out) {
			t.Fatalf("a balanced assignment moved: %v to %v", out, again)
		}
	})
}

func check(t *rapid.T, out [][]int32, slots int32) {
	seen := map[int32]int{}
	least, most := int(slots), 0
	for _, mine := range out {
		least, most = min(least, len(mine)), max(most, len(mine))
		for _, p := range mine {
			seen[p]++
		}
	}
	if most-least > 1 {
		t.Fatalf("members hold between %d and %d slots", least, most)
	}
	for p := range slots {
		if seen[p] != 1 {
			t.Fatalf("slot %d has %d owners", p, seen[p])
		}
	}
}

func sameSets(a, b [][]int32) bool {
	for i := range a {
		m := map[int32]bool{}
		for _, p := range a[i] {
			m[p] = true
		}
		if len(a[i]) != len(b[i]) {
			return false
		}
		for _, p := range b[i] {
			if !m[p] {
				return false
			}
		}
	}
	return true
}
