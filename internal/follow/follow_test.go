package follow_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/follow"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// plot says of a record what it calls for, and keeps what was done.
type plot struct {
	mu    sync.Mutex // guards done and calls
	done  []string
	calls int              // of do, transactions with a store
	reads map[string]error // faults of reading, by value
	deeds map[string]error // faults of doing, by value
	alone map[string]bool  // refused without a fault of the others
}

// read takes "tenant:deed", of the tenant t where none is named.
func (p *plot) read(rec broker.Record) (plant.ID, string, bool, error) {
	v := string(rec.Value)
	if err := p.reads[v]; err != nil {
		return plant.ID{}, "", false, err
	}
	key, _, named := strings.Cut(v, ":")
	if !named {
		key = "t"
	}
	if v == "stranger" {
		key = "gone"
	}
	return plant.NameID(plant.ID{}, key), v, v != "nothing", nil
}

// do does all or, where one has a fault, nothing.
func (p *plot) do(_ context.Context, _ plant.ID, deeds []string) (names []string, refused []error, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls++
	var done []string
	for _, v := range deeds {
		if err := p.deeds[v]; err != nil {
			return nil, nil, err
		}
		if p.alone[v] {
			refused = append(refused, errors.New("no"))
			continue
		}
		done, names = append(done, v), append(names, "Deed")
	}
	p.done = append(p.done, done...)
	return names, refused, nil
}

// follower knows the tenants t, u and v.
func follower(t *testing.T, p *plot, do ...follow.Do[string]) *follow.Follower[string] {
	t.Helper()
	var tenants []any
	for _, key := range []string{"t", "u", "v"} {
		tenants = append(tenants, directory.Tenant{ID: plant.NameID(plant.ID{}, key), Key: key})
	}
	dir := directorytest.Of(t, tenants...)
	do = append(do, p.do)
	return follow.New(follow.Figures{
		Done:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "done_total", Help: "Deeds."}, []string{"name"}),
		Skipped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "skipped_total", Help: "Records."}, []string{"reason"}),
	}, []string{"Deed"}, p.read, do[0], dir, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
}

func records(values ...string) (out []broker.Record) {
	for i, v := range values {
		out = append(out, broker.Record{Topic: "topic", Offset: int64(i), Value: []byte(v)})
	}
	return out
}

// TestWhatIsPassedOver: each fault passes its own record over, counted by reason,
// and none of the others.
func TestWhatIsPassedOver(t *testing.T) {
	p := &plot{
		reads: map[string]error{"rubbish": errors.New("no frame")},
		deeds: map[string]error{"no": &pgconn.PgError{Code: "23514"}},
	}
	f := follower(t, p)
	if err := f.Handle(t.Context(), records("a", "rubbish", "nothing", "stranger", "no", "b")); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.done, []string{"a", "b"}) || testutil.ToFloat64(f.Done.WithLabelValues("Deed")) != 2 {
		t.Errorf("done %v", p.done)
	}
	for _, reason := range []string{"unreadable", "tenant", "refused"} {
		if n := testutil.ToFloat64(f.Skipped.WithLabelValues(reason)); n != 1 {
			t.Errorf("%s counted %v times", reason, n)
		}
	}
}

// TestRegistryAwayIsNotUnreadable: what can't be read now is handed over again.
func TestRegistryAwayIsNotUnreadable(t *testing.T) {
	p := &plot{reads: map[string]error{"b": fmt.Errorf("asking: %w", schemas.ErrRegistry)}}
	f := follower(t, p)
	if err := f.Handle(t.Context(), records("a", "b", "c")); !errors.Is(err, schemas.ErrRegistry) || len(p.done) != 1 {
		t.Fatalf("the registry is away: done %v, %v", p.done, err)
	}
	p.reads = nil
	if err := f.Handle(t.Context(), records("a", "b", "c")); err != nil || len(p.done) != 4 {
		t.Errorf("the registry is back: done %v, %v", p.done, err)
	}
}

// TestOnlyItsOwnFaultPassesARecordOver: a failover, a lack of room or a missing
// migration is waited for; so is anything in a process that is about to end.
func TestOnlyItsOwnFaultPassesARecordOver(t *testing.T) {
	for code, passed := range map[string]bool{
		"25006": false, "57014": false, "57P01": false, "57P03": false, "08006": false, "40001": false, "40P01": false, "53100": false,
		"55P03": false, "42P01": false, "3F000": false, "22023": false, "XX000": false,
		"22P05": true, "22003": true, "23514": true,
	} {
		p := &plot{deeds: map[string]error{"a": fmt.Errorf("storing: %w", &pgconn.PgError{Code: code})}}
		if err := follower(t, p).Handle(t.Context(), records("a")); (err == nil) != passed {
			t.Errorf("%s: passed over %v", code, err == nil)
		}
		ended, end := context.WithCancel(t.Context())
		end()
		if err := follower(t, p).Handle(ended, records("a")); err == nil {
			t.Errorf("%s: passed over while the process ends", code)
		}
	}
}
