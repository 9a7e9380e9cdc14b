package follow_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
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

var tenant = plant.NameID(plant.ID{}, "t")

// plot says of a record what it calls for, and keeps what was done.
type plot struct {
	done  []string
	reads map[string]error // faults of reading, by value
	deeds map[string]error // faults of doing, by value
}

func (p *plot) read(rec broker.Record) (plant.ID, follow.Deed, error) {
	v := string(rec.Value)
	if err := p.reads[v]; err != nil {
		return plant.ID{}, nil, err
	}
	switch v {
	case "nothing":
		return tenant, nil, nil
	case "stranger":
		return plant.NameID(plant.ID{}, "gone"), p.deed(v), nil
	}
	return tenant, p.deed(v), nil
}

func (p *plot) deed(v string) follow.Deed {
	return func(context.Context) ([]string, error) {
		if err := p.deeds[v]; err != nil {
			return nil, err
		}
		p.done = append(p.done, v)
		return []string{"Deed"}, nil
	}
}

func follower(t *testing.T, p *plot) *follow.Follower {
	t.Helper()
	dir := directorytest.Of(t, directory.Tenant{ID: tenant, Key: "t"})
	return follow.New(follow.Figures{
		Done:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "done_total", Help: "Deeds."}, []string{"name"}),
		Skipped: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "skipped_total", Help: "Records."}, []string{"reason"}),
	}, []string{"Deed"}, p.read, dir, prometheus.NewRegistry(), slog.New(slog.DiscardHandler))
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
