package facts

import (
	"errors"
	"log/slog"
	"testing"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/broker/brokertest"
	"github.com/foodflow/foodflow/internal/plant"
)

// TestDowntimeAfterTheLineWasElsewhere: a line's partition goes to another process
// and comes back. The first one's memory is from before the line produced again.
func TestDowntimeAfterTheLineWasElsewhere(t *testing.T) {
	for name, forgets := range map[string]bool{"told": true, "control: not told": false} {
		a, m, c := fixture(t)
		b := New(m, c, known(t), nil, slog.New(slog.DiscardHandler))
		brokertest.Elsewhere(t, Group, Topics(), line[:], a, b, forgets, [3]broker.Record{
			state(c, plant.StateHeld, 1000), state(c, plant.StateExecute, 2000), state(c, plant.StateHeld, 3000),
		})
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
	again := New(m, c, known(t), nil, slog.New(slog.DiscardHandler))
	if err := errors.Join(r.Handle(t.Context(), records), again.Handle(t.Context(), records)); err != nil {
		t.Fatal(err)
	}
	if n := m.count("ScrapDetected"); n != 3 {
		t.Errorf("%d ScrapDetected of 3", n)
	}
}
