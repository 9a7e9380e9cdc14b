package outbox

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/doctor"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

// queue puts a row of so many bytes of data into the outbox, past masterdata's
// wall.
func (w *world) queue(tenant, subject plant.ID, kind string, version int64, size int) {
	w.t.Helper()
	noise := make([]byte, size/2) // what compresses well would get through a broker
	_, _ = rand.Read(noise)
	text := hex.EncodeToString(noise)
	data := `{"x": "` + text[:len(text)-len(`{"x": ""}`)] + `"}`
	if err := w.db.InShared(w.t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO outbox (tenant_id, kind, subject_kind, subject_id, version, event_id, event_type, actor, data)
			VALUES ($1, $2, 'test', $3, $4, $5, 'Tested', 'system', $6)`, tenant, kind, subject, version, plant.NewID(), data)
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) carryAll(r *Relay) {
	w.t.Helper()
	for {
		n, err := r.Carry(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

// aside gives the kinds and versions of what was set aside.
func (w *world) aside() (out []string) {
	w.t.Helper()
	if err := w.db.InShared(w.t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT kind || ' ' || version FROM outbox_refused ORDER BY id")
		if err == nil {
			out, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// seqs gives the numbers of an aggregate's events on Kafka.
func (w *world) seqs(aggregate plant.ID) (out []int64) {
	for _, e := range w.events() {
		if e.Aggregate == aggregate {
			out = append(out, e.Seq)
		}
	}
	return out
}

// TestRowTooLargeHoldsUpNobody: an event that Kafka will never take is set aside,
// visibly and whole; the revocation behind it reaches the directory, and it can be
// put back.
func TestRowTooLargeHoldsUpNobody(t *testing.T) {
	w := newWorld(t)
	who := w.tenant("acme")
	k, clear, err := w.store.APIKeys().Create(t.Context(), who, masterdata.APIKeyFields{Name: "k", Scopes: []string{"ingest"}})
	if err != nil {
		t.Fatal(err)
	}
	thing := plant.NewID()
	w.queue(who.Tenant, thing, "event", 1, 3<<20)
	w.queue(who.Tenant, thing, "event", 2, 100)
	if _, err := w.store.APIKeys().Revoke(t.Context(), who, k.ID.String(), masterdata.AnyVersion); err != nil {
		t.Fatal(err)
	}
	r := w.relay(nil, w.out)
	w.carryAll(r)
	dir := directory.NewStore()
	tail := broker.NewTail(w.kafka, broker.TopicDirectory, directory.Applier(dir, w.codec, slog.New(slog.DiscardHandler), nil))
	follow(t, tail)
	t.Cleanup(func() { _ = tail.Stop(context.Background()) })
	if _, err := dir.Authenticate(clear.Reveal(), time.Now()); err == nil {
		t.Error("the revocation behind the row did not arrive")
	}
	if got := w.seqs(thing); len(got) != 1 || got[0] != 2 {
		t.Errorf("events of its aggregate: %v", got)
	}
	if got := w.aside(); len(got) != 1 || got[0] != "event 1" || w.waiting() != 0 {
		t.Errorf("set aside %v, waiting %d", got, w.waiting())
	}
	if n := testutil.ToFloat64(r.m.refused); n != 1 {
		t.Errorf("counted %v", n)
	}
	if f := Checkup(w.cfg).Run(t.Context()); len(f) != 1 || f[0].Severity != doctor.Error || !strings.Contains(f[0].What, thing.String()) {
		t.Errorf("doctor: %+v", f)
	}
	// Made smaller, as a wider topic would, and put back.
	if err := w.db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `UPDATE outbox_refused SET line = jsonb_set(line, '{data}', '{"small": true}'); SELECT foodflow.outbox_retry()`)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	w.carryAll(r)
	if got := w.seqs(thing); len(got) != 2 || got[1] != 1 || len(w.aside()) != 0 {
		t.Errorf("put back: events %v, still aside %v", got, w.aside())
	}
	if f := Checkup(w.cfg).Run(t.Context()); len(f) != 1 || f[0].Severity != doctor.OK {
		t.Errorf("doctor: %+v", f)
	}
}

// TestGoodRowsOfARefusedBatchGo is a topic that takes less than its row of the
// table says: the broker refuses a batch whole.
func TestGoodRowsOfARefusedBatchGo(t *testing.T) {
	w := newWorld(t)
	who := w.tenant("acme")
	w.carryAll(w.relay(nil, w.out))
	small := "4000"
	adm := kadm.NewClient(w.out)
	res, err := adm.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &small}}, broker.TopicEvents)
	if err != nil || res[0].Err != nil {
		t.Fatal(err, res)
	}
	thing := plant.NewID()
	for seq := range int64(9) {
		size := 500
		if seq == 4 {
			size = 9000
		}
		w.queue(who.Tenant, thing, "event", seq+1, size)
	}
	w.carryAll(w.relay(nil, w.out))
	if got := w.seqs(thing); len(got) != 8 {
		t.Errorf("events %v", got)
	}
	if got := w.aside(); len(got) != 1 || got[0] != "event 5" {
		t.Errorf("set aside %v", got)
	}
}

// TestSupersededEntryIsForgotten: a refused state of a thing must not come behind
// a newer one on the compacted topic.
func TestSupersededEntryIsForgotten(t *testing.T) {
	w := newWorld(t)
	who := w.tenant("acme")
	r := w.relay(nil, w.out)
	thing, other := plant.NewID(), plant.NewID()
	w.queue(who.Tenant, thing, "directory", 7, 3<<20)
	w.queue(who.Tenant, other, "directory", 3, 3<<20)
	w.carryAll(r)
	if got := w.aside(); len(got) != 2 {
		t.Fatal(got)
	}
	w.queue(who.Tenant, thing, "directory", 8, 100)
	w.carryAll(r)
	if got := w.aside(); len(got) != 1 || got[0] != "directory 3" {
		t.Errorf("still aside: %v", got)
	}
}

// TestLargestChangeIsTaken: what masterdata's wall lets through goes out.
func TestLargestChangeIsTaken(t *testing.T) {
	w := newWorld(t)
	who := w.tenant("acme")
	thing := plant.NewID()
	w.queue(who.Tenant, thing, "event", 1, masterdata.MaxAnnounced)
	w.queue(who.Tenant, thing, "directory", 1, masterdata.MaxAnnounced)
	w.carryAll(w.relay(nil, w.out))
	if got := w.seqs(thing); len(got) != 1 || len(w.aside()) != 0 {
		t.Errorf("events %v, set aside %v", got, w.aside())
	}
}

// away fails one record as Kafka does when replicas are away.
type away struct{ Producer }

func (a away) ProduceSync(ctx context.Context, rs ...*kgo.Record) kgo.ProduceResults {
	out := a.Producer.ProduceSync(ctx, rs...)
	out[0].Err = kerr.NotEnoughReplicas
	return out
}

// TestPassingErrorsSetNothingAside is the control: what isn't the row's fault
// waits.
func TestPassingErrorsSetNothingAside(t *testing.T) {
	w := newWorld(t)
	w.tenant("acme")
	before := w.waiting()
	if n, err := w.relay(nil, away{w.out}).Carry(t.Context()); err == nil || n != 0 {
		t.Fatal(n, err)
	}
	if w.waiting() != before || len(w.aside()) != 0 {
		t.Errorf("%d of %d rows wait, aside %v", w.waiting(), before, w.aside())
	}
}
