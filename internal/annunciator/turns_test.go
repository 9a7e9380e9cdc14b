package annunciator

import (
	"context"
	"fmt"
	"log/slog"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/broker/brokertest"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

// TestCleaningEndsAfterTheLineWasElsewhere: a line's partition goes to another
// process, which sees it enter cleaning, and comes back for the end of that.
func TestCleaningEndsAfterTheLineWasElsewhere(t *testing.T) {
	for name, forgets := range map[string]bool{"told": true, "control: not told": false} {
		a, m, c := fixture(t)
		b := New(m, c, a.dir, nil, slog.New(slog.DiscardHandler))
		var turns []brokertest.Turn
		for i, x := range []struct {
			who *Annunciator
			s   plant.State
		}{{a, plant.StateExecute}, {b, plant.StateCIP}, {a, plant.StateExecute}} {
			e := plant.LineEvent{Tenant: tenant, Line: line, TS: int64(i+1) * 1000, Type: plant.EventState, State: x.s, Seq: plant.NoSeq}
			e.ID = plant.EventID(&e)
			turn := brokertest.Turn{Record: broker.Record{Topic: broker.TopicLineEvents, Value: c.AppendLineEvent(nil, &e)}, Handle: x.who.Handle}
			if forgets {
				turn.Moved = x.who.Forget
			}
			turns = append(turns, turn)
		}
		brokertest.Turns(t, Group, Topics(), line[:], turns)
		if m.on == forgets {
			t.Errorf("%s: the line produces, suppressed %v", name, m.on)
		}
	}
}

// refusing answers as Postgres does with a code.
type refusing struct {
	*memory
	code string
}

func (r refusing) Signal(context.Context, plant.ID, masterdata.Signal) ([]string, error) {
	return nil, fmt.Errorf("changing alarm: %w", &pgconn.PgError{Code: r.code})
}

// TestOnlyItsOwnFaultPassesAnAlarmOver: a failover, a lack of room or a missing
// migration is waited for.
func TestOnlyItsOwnFaultPassesAnAlarmOver(t *testing.T) {
	for code, passed := range map[string]bool{
		"25006": false, "57014": false, "57P01": false, "57P03": false, "08006": false, "40001": false, "40P01": false, "53100": false,
		"55P03": false, "42P01": false, "3F000": false, "22023": false, "XX000": false,
		"22P05": true, "22003": true, "23514": true,
	} {
		a, m, c := fixture(t)
		a.store = refusing{m, code}
		if err := a.Handle(t.Context(), story(t, c)[1:2]); (err == nil) != passed {
			t.Errorf("%s: passed over %v", code, err == nil)
		}
	}
}
