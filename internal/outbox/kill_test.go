package outbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit/leak"
	"github.com/foodflow/foodflow/schemas"
)

// The child of the kill test is this test program again, as a relay.
const (
	childPostgres = "FOODFLOW_OUTBOX_POSTGRES"
	childKafka    = "FOODFLOW_OUTBOX_KAFKA"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childPostgres); url != "" {
		if err := relayUntilEmpty(url, os.Getenv(childKafka)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	leak.Main(m)
}

// relayUntilEmpty is the life of the child.
func relayUntilEmpty(url, kafka string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if err := fault.ArmFromEnvironment(); err != nil {
		return err
	}
	pc := postgres.DefaultConfig()
	pc.URL = url
	db, err := postgres.Open(ctx, pc)
	if err != nil {
		return err
	}
	defer db.Close()
	kc := broker.DefaultConfig()
	kc.Brokers = strings.Split(kafka, ",")
	cl, err := broker.Client(kc)
	if err != nil {
		return err
	}
	defer cl.Close()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		return err
	}
	cfg := DefaultConfig()
	cfg.Batch = 10
	r, err := New(cfg, db, cl, codec, nil, discard())
	if err != nil {
		return err
	}
	for {
		n, err := r.Carry(ctx)
		if err != nil || n == 0 {
			return err
		}
	}
}

// TestKilledBetweenAckAndMark is promise P16: a relay is killed between Kafka's
// ack and the mark, again and again; a consumer that drops what it has by ce_id
// takes every event once.
func TestKilledBetweenAckAndMark(t *testing.T) {
	w := newWorld(t)
	who := w.tenant("acme")
	for i := range 40 {
		if err := w.store.Sensors().Create(t.Context(), who, &masterdata.Sensor{SensorFields: masterdata.SensorFields{Key: fmt.Sprint("s", i), Name: "x"}}); err != nil {
			t.Fatal(err)
		}
	}
	run := func(point string) (string, error) {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childPostgres+"="+w.cfg.URL, childKafka+"="+strings.Join(w.kafka.Brokers, ","), fault.Variable+"="+point)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	const kills = 5
	for i := range kills {
		before := w.waiting()
		out, err := run("outbox-after-ack:kill@2")
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			t.Fatalf("kill %d: %v: %s", i, err, out)
		}
		// One batch was marked, the second only acked.
		if left := w.waiting(); left != before-10 {
			t.Fatalf("kill %d: %d rows left of %d", i, left, before)
		}
	}
	if out, err := run(""); err != nil {
		t.Fatalf("the last relay: %v: %s", err, out)
	}
	stored, _, err := w.store.Events(t.Context(), who.Tenant, masterdata.EventFilter{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	copies, effect, last := 0, map[plant.ID]bool{}, map[plant.ID]int64{}
	for _, e := range w.events() {
		copies++
		if effect[e.ID] {
			continue
		}
		effect[e.ID] = true
		if e.Seq != last[e.Aggregate]+1 {
			t.Errorf("aggregate %s: seq %d behind %d", e.Aggregate, e.Seq, last[e.Aggregate])
		}
		last[e.Aggregate] = e.Seq
	}
	t.Logf("kills %d, events %d, copies on Kafka %d, effects %d", kills, len(stored), copies, len(effect))
	if len(effect) != len(stored) || w.waiting() != 0 {
		t.Errorf("%d effects of %d events, %d rows left", len(effect), len(stored), w.waiting())
	}
	// The control: without looking at ce_id the consumer would count twice.
	if copies == len(effect) {
		t.Error("nothing came twice, so the kills hit nothing")
	}
}
