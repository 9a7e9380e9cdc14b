package run_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/processors/run"
)

// stateNames counts the records of processors' state that name a tenant.
func (w *world) stateNames(tenant plant.ID) (n int) {
	w.t.Helper()
	if err := broker.NewLog(w.kafka, w.client()).Each(w.t.Context(), broker.TopicProcessorState, func(_ int32, _, value []byte) error {
		if bytes.Contains(value, tenant[:]) {
			n++
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// patience is how long a test waits for what must come; only a fault lets it
// pass.
const patience = 2 * time.Minute

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatal("never: ", what)
		}
	}
}

// TestStateOfDeletedTenantGoes: when the directory says that a tenant is being
// deleted, its state goes from memory and from every snapshot although nothing
// more comes, and another tenant's stays.
func TestStateOfDeletedTenantGoes(t *testing.T) {
	w := newWorld(t)
	w.cfg.SnapshotRecords = 50
	gone, stays := plant.NameID(plant.ID{}, "tenant"), plant.NameID(plant.ID{}, "another")
	dir := directory.NewStore()
	job, err := run.Open(w.cfg, run.JobDeps{Kafka: w.kafka, ClickHouse: w.ch, Codec: w.codec, Directory: dir, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer job.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- job.Run(ctx) }()
	cl := w.client()
	send := func(from, to, times int) {
		for i := from; i < to; i++ {
			for _, tenant := range []plant.ID{gone, stays} {
				if tenant == gone && times > 1 {
					continue
				}
				r := w.reading(i%4, i)
				r.Tenant, r.Sensor = tenant, plant.NameID(tenant, r.Sensor.String())
				key := r.Key()
				for range times {
					cl.Produce(t.Context(), &kgo.Record{Topic: broker.TopicReadings, Key: key[:], Value: w.codec.AppendReading(nil, &r)}, nil)
				}
			}
		}
		if err := cl.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	send(0, 600, 1)
	w.eventually("snapshots name both", func() bool { return w.stateNames(gone) > 0 && w.stateNames(stays) > 0 })
	w.eventually("all is stored", w.rows("readings")(1200))
	e, err := directory.EntryOf(2, directory.Tenant{ID: gone, Key: "gone", Suspended: true, Deleting: true})
	if err != nil {
		t.Fatal(err)
	}
	// The control: without the word of the directory it stays.
	time.Sleep(1500 * time.Millisecond)
	if w.stateNames(gone) == 0 {
		t.Error("the state goes by itself, so the test proves nothing")
	}
	if err := dir.Apply(&e); err != nil {
		t.Fatal(err)
	}
	w.eventually("no snapshot names the tenant", func() bool { return w.stateNames(gone) == 0 })
	if w.stateNames(stays) == 0 {
		t.Error("the other tenant's state went too")
	}
	// Copies of the other tenant's readings are known as such, from what was kept.
	send(590, 610, 2)
	w.eventually("the new ones are stored", w.rows("readings")(1210))
	cancel()
	<-ended
	if got := w.query("SELECT count(), uniqExact(sensor_id, seq) FROM readings WHERE tenant_id = '" + stays.String() + "'"); got != "610\t610" {
		t.Errorf("the other tenant's readings: %s", got)
	}
}
