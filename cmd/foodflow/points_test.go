package main_test

import (
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/clickhouse/ddl"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
	registry "github.com/foodflow/foodflow/schemas/registry/embedded"
)

// TestKilledAtEveryPoint (P4): the program's processors are killed (-9) by
// themselves in each window of a batch and of a snapshot; another one takes over
// and leaves every record that Kafka has once in the table and the rollups. The
// control, the same crash without tokens, is TestCrashWithoutTokensDoubles in
// processors/run.
func TestKilledAtEveryPoint(t *testing.T) {
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	k, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(time.Second),
		kfake.BrokerConfigs(map[string]string{"group.initial.rebalance.delay.ms": "0"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(k.Close)
	kafka := broker.DefaultConfig()
	kafka.Brokers = k.ListenAddrs()
	acked := produceSome(t, kafka)
	reg, err := registry.Open(t.TempDir(), schemas.Compatible, schemas.Valid)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(reg)
	t.Cleanup(front.Close)
	url := embeddedtest.Start(t)
	for _, point := range []string{
		"sink.before_insert", "sink.in_insert", "sink.after_insert", "stream.before_flush", "stream.after_flush",
		"stream.before_commit", "stream.after_commit", "stream.before_snapshot", "stream.after_snapshot",
	} {
		t.Run(point, func(t *testing.T) {
			l := &lives{t: t, bin: bin, url: url, dir: t.TempDir(), acked: acked}
			cfg := clickhouse.DefaultConfig()
			cfg.URL, cfg.Database = url, embeddedtest.Database(t)
			l.database = cfg.Database
			c, err := clickhouse.NewClient(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := ddl.Apply(t.Context(), c, ddl.DefaultOptions(8)); err != nil {
				t.Fatal(err)
			}
			l.args = []string{
				"processors", "--kafka-brokers", strings.Join(kafka.Brokers, ","), "--registry-url", front.URL, "--clickhouse-url", url,
				"--clickhouse-database", l.database, "--cache-dir", l.dir, "--admin-addr", "127.0.0.1:0", "--group", l.database, "--session-timeout", "3s",
			}
			// Each slot has one batch and one snapshot, at the end, and which slots
			// get lines is left to their keys; a batch is of several inserts and commits.
			at := 2
			if strings.HasSuffix(point, "_snapshot") || strings.HasSuffix(point, "_flush") {
				at = 1
			}
			if !l.live(fmt.Sprintf("%s:kill@%d", point, at)) {
				t.Fatalf("nobody was killed at %s", point)
			}
			if l.live("") {
				t.Fatal("the next one was killed, too")
			}
			got := l.figures()
			t.Logf("killed: on kafka %d; missing, extra and rollups: %s", acked, got)
			if want := fmt.Sprintf("0\t0\t%[1]d\t%[1]d\t%[1]d", acked); got != want {
				t.Errorf("want %s", want)
			}
		})
	}
}

// produceSome fills the readings and gives how many Kafka has, by its offsets.
func produceSome(t *testing.T, kafka broker.Config) int {
	t.Helper()
	cl, err := broker.Client(kafka)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := broker.EnsureTopics(t.Context(), cl, 2); err != nil {
		t.Fatal(err)
	}
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	tenant, start := plant.NewID(), time.Now().Add(-2*time.Hour).Truncate(time.Minute).UnixMilli()
	for i := range 1500 {
		for s := range 6 {
			r := plant.Reading{
				Tenant: tenant, Line: plant.NameID(tenant, "line", fmt.Sprint(s)), Sensor: plant.NameID(tenant, "sensor", fmt.Sprint(s)),
				TS: start + int64(i)*1000, Value: float64(i % 17), Seq: int64(i),
			}
			key := r.Key()
			cl.Produce(t.Context(), &kgo.Record{Topic: broker.TopicReadings, Key: key[:], Value: codec.AppendReading(nil, &r)}, nil)
		}
	}
	if err := cl.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	ends, err := broker.EndOffsets(t.Context(), kafka, broker.TopicReadings)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, end := range ends {
		n += int(end)
	}
	return n
}

// lives are processors one after the other on one table and group.
type lives struct {
	t                  *testing.T
	bin, url, database string
	dir                string
	args               []string
	acked              int
}

// live runs processors with a point armed until everything is stored, then ends
// them with SIGTERM; it says whether they were killed on the way.
func (l *lives) live(point string) (killed bool) {
	l.t.Helper()
	log, err := os.Create(filepath.Join(l.dir, "log"))
	if err != nil {
		l.t.Fatal(err)
	}
	defer log.Close()
	cmd := exec.CommandContext(l.t.Context(), l.bin, l.args...)
	cmd.Env = append(os.Environ(), "FOODFLOW_FAILPOINT="+point)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	deadline := time.After(patience)
	stored := false
	for {
		select {
		case err := <-done:
			var exit *exec.ExitError
			if errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL {
				return true
			}
			if err != nil || !stored {
				b, _ := os.ReadFile(log.Name()) // for the message only
				l.t.Fatalf("the processors ended: %v\n%s", err, b)
			}
			return false
		case <-deadline:
			b, _ := os.ReadFile(log.Name()) // for the message only
			_ = cmd.Process.Kill()
			l.t.Fatalf("the processors don't get through: %s\n%s", l.figures(), b)
		case <-time.After(50 * time.Millisecond):
			// Rows too many don't end the wait: they are for the caller to see.
			if f := l.figures(); !stored && strings.HasPrefix(f, "0\t") && strings.HasSuffix(f, fmt.Sprintf("\t%d", l.acked)) {
				stored = true
				if err := cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
					l.t.Fatal(err)
				}
			}
		}
	}
}

// figures are the positions of Kafka that the table lacks, the rows it has too
// many, and the sums of the rollups.
func (l *lives) figures() string {
	db := l.database
	return strings.TrimSpace(embeddedtest.Exec(l.t, l.url, fmt.Sprintf("SELECT toInt64(%d) - uniqExact(_partition, _offset), count() - uniqExact(_partition, _offset), (SELECT sum(count) FROM %s.readings_1m), (SELECT sum(count) FROM %s.readings_1h), (SELECT sum(count) FROM %s.readings_1d) FROM %s.readings", l.acked, db, db, db, db)))
}
