package outbox

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// many is how many rows the measurements take; FOODFLOW_TEST_ROWS says more.
func many(otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv("FOODFLOW_TEST_ROWS")); err == nil {
		return n
	}
	return otherwise
}

// TestRateOfRelay measures how many events a second one relay carries from a
// full outbox, and that none is left or doubled.
func TestRateOfRelay(t *testing.T) {
	w := newWorld(t)
	who := w.tenant("acme")
	n := many(5000)
	if err := w.db.InTenant(t.Context(), who.Tenant, func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO foodflow.outbox (tenant_id, kind, subject_kind, subject_id, version, event_id, event_type, actor, data)
			SELECT $1, 'event', 'test', $2, i, gen_random_uuid(), 'Tested', 'system', '{"key": "a-sensor", "name": "A sensor of some line", "unit": "degC"}' FROM generate_series(1, $3::int) i`, who.Tenant, plant.NewID(), n)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	all := w.waiting()
	r := w.relay(nil, w.out)
	start := time.Now()
	carried := 0
	for {
		k, err := r.Carry(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if k == 0 {
			break
		}
		carried += k
	}
	took := time.Since(start)
	t.Logf("rows %d in %v: %.0f a second", carried, took.Round(time.Millisecond), float64(carried)/took.Seconds())
	if carried != all || w.waiting() != 0 {
		t.Errorf("carried %d of %d, %d left", carried, all, w.waiting())
	}
}

// TestRateOfWriters measures how many changes a second are committed: by the
// writers of one tenant, who go one after another, and by as many writers of
// several tenants, who don't. Each change is a row, an event, an audit row and
// two rows of the outbox.
func TestRateOfWriters(t *testing.T) {
	w := newWorld(t)
	const writers = 8
	each := many(400) / writers
	var who []masterdata.Actor
	for i := range writers {
		who = append(who, w.tenant(fmt.Sprint("t", i)))
	}
	measure := func(of func(i int) masterdata.Actor, round string) float64 {
		start := time.Now()
		var wg sync.WaitGroup
		for g := range writers {
			wg.Go(func() {
				for i := range each {
					x := &masterdata.Sensor{SensorFields: masterdata.SensorFields{Key: fmt.Sprint(round, g, "-", i), Name: "x"}}
					if err := w.store.Sensors().Create(t.Context(), of(g), x); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Wait()
		return float64(writers*each) / time.Since(start).Seconds()
	}
	measure(func(g int) masterdata.Actor { return who[g] }, "warm")
	one := measure(func(int) masterdata.Actor { return who[0] }, "a")
	several := measure(func(g int) masterdata.Actor { return who[g] }, "b")
	rows, broken, err := w.store.VerifyAudit(t.Context(), who[0].Tenant)
	if err != nil || broken != 0 || rows < int64(writers*each) {
		t.Errorf("audit chain: %d rows, broken at %d, %v", rows, broken, err)
	}
	t.Logf("changes a second: %.0f by %d writers of one tenant, %.0f by one writer of each of %d tenants", one, writers, several, writers)
}
