package annunciator

import (
	"log/slog"
	"testing"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/broker/brokertest"
	"github.com/foodflow/foodflow/internal/plant"
)

// TestCleaningEndsAfterTheLineWasElsewhere: a line's partition goes to another
// process, which sees it enter cleaning, and comes back for the end of that.
func TestCleaningEndsAfterTheLineWasElsewhere(t *testing.T) {
	for name, forgets := range map[string]bool{"told": true, "control: not told": false} {
		a, m, c := fixture(t)
		b := New(m, c, known(t), nil, slog.New(slog.DiscardHandler))
		brokertest.Elsewhere(t, Group, Topics(), line[:], a, b, forgets, [3]broker.Record{
			state(c, plant.StateExecute, 1000), state(c, plant.StateCIP, 2000), state(c, plant.StateExecute, 3000),
		})
		if m.on == forgets {
			t.Errorf("%s: the line produces, suppressed %v", name, m.on)
		}
	}
}
