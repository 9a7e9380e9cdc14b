package facts

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/broker/brokertest"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

// TestDowntimeAfterTheLineWasElsewhere: a line's partition goes to another process
// and comes back. The first one's memory is from before the line produced again.
func TestDowntimeAfterTheLineWasElsewhere(t *testing.T) {
	for name, forgets := range map[string]bool{"told": true, "control: not told": false} {
		a, m, c := fixture(t)
		b := New(m, c, a.dir, nil, slog.New(slog.DiscardHandler))
		var turns []brokertest.Turn
		for i, x := range []struct {
			who *Raiser
			s   plant.State
		}{{a, plant.StateHeld}, {b, plant.StateExecute}, {a, plant.StateHeld}} {
			e := plant.LineEvent{Tenant: tenant, Line: line, TS: int64(i+1) * 1000, Type: plant.EventState, State: x.s, Seq: plant.NoSeq}
			e.ID = plant.EventID(&e)
			turn := brokertest.Turn{Record: broker.Record{Topic: broker.TopicLineEvents, Value: c.AppendLineEvent(nil, &e)}, Handle: x.who.Handle}
			if forgets {
				turn.Moved = x.who.Forget
			}
			turns = append(turns, turn)
		}
		brokertest.Turns(t, Group, Topics(), line[:], turns)
		if n := m.count("LineDowntime"); (n == 2) != forgets {
			t.Errorf("%s: %d LineDowntime of 2", name, n)
		}
	}
}

// TestLateScrapIsRaisedEach: of the late counts of one minute, of whom each has a
// revision of its own, each is a fact; a part that is read or sent again is none.
func TestLateScrapIsRaisedEach(t *testing.T) {
	r, m, c := fixture(t)
	var records []broker.Record
	for i, revision := range []uint32{1 << 31, 1<<31 | 7, 1<<31 | 9, 1<<31 | 7} {
		v, err := c.AppendOEEPart(nil, &plant.OEEPart{Tenant: tenant, Line: line, Minute: 60_000, Product: "p", Total: 5, Scrap: 5, Revision: revision})
		if err != nil {
			t.Fatal(err)
		}
		records = append(records, broker.Record{Topic: broker.TopicOEE, Value: v, Offset: int64(i)})
	}
	again := New(m, c, r.dir, nil, slog.New(slog.DiscardHandler))
	if err := errors.Join(r.Handle(t.Context(), records), again.Handle(t.Context(), records)); err != nil {
		t.Fatal(err)
	}
	if n := m.count("ScrapDetected"); n != 3 {
		t.Errorf("%d ScrapDetected of 3", n)
	}
}

// refusing answers as Postgres does with a code.
type refusing struct {
	*memory
	code string
}

func (r refusing) Raise(context.Context, plant.ID, masterdata.Fact) (bool, error) {
	return false, fmt.Errorf("storing event: %w", &pgconn.PgError{Code: r.code})
}

// TestOnlyItsOwnFaultPassesAFactOver: a failover, a lack of room or a missing
// migration is waited for.
func TestOnlyItsOwnFaultPassesAFactOver(t *testing.T) {
	for code, passed := range map[string]bool{
		"25006": false, "57014": false, "57P01": false, "57P03": false, "08006": false, "40001": false, "40P01": false, "53100": false,
		"55P03": false, "42P01": false, "3F000": false, "22023": false, "XX000": false,
		"22P05": true, "22003": true, "23514": true,
	} {
		r, m, c := fixture(t)
		r.store = refusing{m, code}
		if err := r.Handle(t.Context(), story(t, c)[:1]); (err == nil) != passed {
			t.Errorf("%s: passed over %v", code, err == nil)
		}
	}
}
