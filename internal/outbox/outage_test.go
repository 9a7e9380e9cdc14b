package outbox

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/lifecycle"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres/embedded"
)

// ownPostgres starts a server that the test may stop the hard way.
func ownPostgres(t *testing.T) (*lifecycle.Process, string) {
	t.Helper()
	if _, err := embedded.Binaries(); err != nil {
		if os.Getenv("REQUIRE_SERVICES") != "" {
			t.Fatal(err)
		}
		t.Skip("needs postgres: ", err)
	}
	// The server's own user can't reach t.TempDir.
	dir, err := os.MkdirTemp("", "foodflow-outbox-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	port, err := lifecycle.FreePort("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprint("127.0.0.1:", port)
	p, url, err := embedded.New(t.Context(), embedded.Config{Dir: filepath.Join(dir, "postgres"), Addr: addr, Password: "x"}, io.Discard, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		_ = p.Stop(ctx)
	})
	return p, url
}

// TestPostgresStopsUnderWrites is promise P14: Postgres is stopped in the way of
// pg_ctl stop -m immediate while writers write. What the writers were told is
// committed is published, and nothing else is.
func TestPostgresStopsUnderWrites(t *testing.T) {
	p, url := ownPostgres(t)
	w := newWorldAt(t, url)
	run(t, w.relay(nil, w.out).Run)
	who := w.tenant("acme")
	var mu sync.Mutex // guards acked
	acked := map[plant.ID]bool{}
	var halt atomic.Bool
	var refused atomic.Int64
	var wg sync.WaitGroup
	for g := range 4 {
		wg.Go(func() {
			for i := 0; !halt.Load(); i++ {
				x := &masterdata.Sensor{SensorFields: masterdata.SensorFields{Key: fmt.Sprint("s-", g, "-", i), Name: "x"}}
				if err := w.store.Sensors().Create(t.Context(), who, x); err != nil {
					refused.Add(1)
					time.Sleep(20 * time.Millisecond) // as a client would
					continue
				}
				mu.Lock()
				acked[x.ID] = true
				mu.Unlock()
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return len(acked)
	}
	eventually(t, "writes before", func() bool { return count() > 20 })
	pid := p.PID()
	if err := syscall.Kill(pid, syscall.SIGQUIT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a new server", func() bool { return p.PID() != pid && p.PID() != 0 })
	during := count()
	recovery := eventually(t, "writes after", func() bool { return count() > during+20 })
	halt.Store(true)
	wg.Wait()
	eventually(t, "the outbox is empty", func() bool { return w.waiting() == 0 })

	published := map[plant.ID]bool{}
	for _, e := range w.events() {
		if e.Type == "SensorCreated" {
			published[e.Aggregate] = true
		}
	}
	stored := map[plant.ID]bool{}
	for after := ""; ; {
		xs, more, err := w.store.Sensors().List(t.Context(), who.Tenant, masterdata.Page{Sort: "id", After: after, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range xs {
			stored[x.ID], after = true, x.ID.String()
		}
		if !more {
			break
		}
	}
	lost, ghosts := 0, 0
	for id := range acked {
		if !stored[id] || !published[id] {
			lost++
		}
	}
	for id := range published {
		if !stored[id] {
			ghosts++
		}
	}
	t.Logf("acked %d, committed %d, published %d, lost %d, never committed %d, refused meanwhile %d, recovery %v",
		len(acked), len(stored), len(published), lost, ghosts, refused.Load(), recovery)
	if lost != 0 || ghosts != 0 || len(stored) != len(published) {
		t.Error("committed and published differ")
	}
	if refused.Load() == 0 {
		t.Error("nothing was refused, so Postgres was never away and the test proves nothing")
	}
}
