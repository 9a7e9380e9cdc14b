package feed

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/mqttin"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// journal is an output behind the real door: it fails as often as told, and
// remembers what it took.
type journal struct {
	codec *schemas.Codec

	mu       sync.Mutex // guards the rest
	fail     int
	readings []plant.Reading
	events   []plant.LineEvent
}

func (j *journal) Publish(context.Context, string, *ingest.Batch) error { return errors.ErrUnsupported }

func (j *journal) Begin(_ context.Context, topic string, b *ingest.Batch, done func(error)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fail > 0 {
		j.fail--
		done(errors.New("not now"))
		return
	}
	for i := range b.Len() {
		_, value := b.Record(i)
		var r plant.Reading
		var e plant.LineEvent
		if topic == ingest.Readings.Topic() && j.codec.DecodeReading(value, &r) == nil {
			j.readings = append(j.readings, r)
		}
		if topic == ingest.Events.Topic() && j.codec.DecodeLineEvent(value, &e) == nil {
			j.events = append(j.events, e)
		}
	}
	done(nil)
}

func (j *journal) DeadLetter(context.Context, *schemas.DeadLetter) error { return nil }

// mqttDoor is the real MQTT door of a plant with two sensors and a line.
func mqttDoor(t *testing.T, fail int, quota float64) (*journal, MQTTConfig) {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	store, key, tenant, line := directory.NewStore(), directory.NewKey(), plant.NewID(), plant.NewID()
	if err := directorytest.Enter(store,
		directory.Tenant{ID: tenant, Key: "acme", Quota: directory.Quota{ItemsPerSecond: quota}},
		directory.Line{ID: line, Tenant: tenant, Key: "l", Unit: "bottle"},
		directory.Sensor{ID: plant.NewID(), Tenant: tenant, Line: line, Key: "a"},
		directory.Sensor{ID: plant.NewID(), Tenant: tenant, Line: line, Key: "b"},
		directory.APIKey{ID: plant.NewID(), Tenant: tenant, Public: key.Public, Hash: key.Hash(), Scopes: []string{directory.ScopeIngest}},
	); err != nil {
		t.Fatal(err)
	}
	j := &journal{codec: codec, fail: fail}
	svc, err := ingest.NewService(store, codec, j, ingest.DefaultLimits(), nil)
	if err != nil {
		t.Fatal(err)
	}
	s, err := mqttin.New(mqttin.DefaultConfig(), svc, j, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	cfg := MQTTConfig{Addr: s.Addr(), Tenant: "acme", ClientID: "test", Retry: DefaultConfig()}
	cfg.Retry.APIKey, cfg.Retry.FirstPause, cfg.Retry.LastPause = key.Reveal(), time.Millisecond, 50*time.Millisecond
	return j, cfg
}

func publisher(t *testing.T, cfg MQTTConfig) *MQTT {
	t.Helper()
	m, err := NewMQTT(cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return m
}

// TestMQTTDelivers: what is sent is there as it was, each sensor's in order, also
// when the door gives up connections on the way, and when it asks to wait.
func TestMQTTDelivers(t *testing.T) {
	now := time.Now().UnixMilli()
	for name, c := range map[string]struct {
		fail  int
		quota float64
	}{"at once": {}, "after failures": {fail: 4}, "held to a quota": {quota: 40}} {
		t.Run(name, func(t *testing.T) {
			j, cfg := mqttDoor(t, c.fail, c.quota)
			m := publisher(t, cfg)
			n := int64(0)
			for range 12 {
				var sent []Reading
				for range 10 {
					n++
					sent = append(sent, Reading{Sensor: "a", TS: now + n, Value: float64(n) / 7, Seq: n, Quality: plant.QualityUncertain},
						Reading{Sensor: "b", TS: now + n, Value: -1e-300, Seq: n})
				}
				if err := m.Readings(t.Context(), sent); err != nil {
					t.Fatal(err)
				}
			}
			events := []Event{
				{Line: "l", ID: plant.NewID(), TS: now, Type: plant.EventState, State: plant.StateHeld, Reason: "jam"},
				{Line: "l", ID: plant.NewID(), TS: now, Type: plant.EventCount, Good: 5, Scrap: 1},
			}
			if err := m.Events(t.Context(), events); err != nil {
				t.Fatal(err)
			}
			j.mu.Lock()
			defer j.mu.Unlock()
			seen, last := map[string]bool{}, map[plant.ID]int64{}
			for _, r := range j.readings {
				want, quality := float64(r.Seq)/7, plant.QualityUncertain
				if r.Value < 0 {
					want, quality = -1e-300, plant.QualityGood
				}
				if r.Value != want || r.Quality != quality || r.TS != now+r.Seq {
					t.Fatalf("%+v", r)
				}
				id := fmt.Sprint(r.Sensor, r.Seq)
				if !seen[id] && r.Seq != last[r.Sensor]+1 {
					t.Errorf("%d after %d", r.Seq, last[r.Sensor])
				}
				seen[id], last[r.Sensor] = true, max(last[r.Sensor], r.Seq)
			}
			if len(seen) != 240 || len(j.events) < 2 || j.events[0].ID != events[0].ID || j.events[1].Unit != "bottle" {
				t.Errorf("%d readings, events %+v", len(seen), j.events)
			}
		})
	}
}

// TestMQTTRefusals: what sending again can't change comes back, with the door's
// words.
func TestMQTTRefusals(t *testing.T) {
	_, cfg := mqttDoor(t, 0, 0)
	foreign, stranger := cfg, cfg
	foreign.Tenant, stranger.Retry.APIKey = "rival", directory.NewKey().Reveal()
	good := []Reading{{Sensor: "a", TS: time.Now().UnixMilli(), Seq: 1}}
	for name, c := range map[string]struct {
		cfg      MQTTConfig
		readings []Reading
		status   int
		words    string
	}{
		"an unknown sensor": {cfg, []Reading{{Sensor: "c", TS: good[0].TS}}, 0x90, "unknown"},
		"a time to come":    {cfg, []Reading{{Sensor: "a", TS: good[0].TS + 1e10}}, 0x99, "in_future"},
		"another tenant":    {foreign, good, 0x87, "tenant"},
		"another key":       {stranger, good, 0x86, "log-in"},
	} {
		t.Run(name, func(t *testing.T) {
			var refused *Refused
			err := publisher(t, c.cfg).Readings(t.Context(), c.readings)
			if !errors.As(err, &refused) || refused.Status != c.status || !strings.Contains(refused.Detail, c.words) {
				t.Errorf("got %v", err)
			}
		})
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	away := cfg
	away.Addr = "127.0.0.1:1"
	if err := publisher(t, away).Readings(ctx, good); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nobody there: %v", err)
	}
	for _, wrong := range []MQTTConfig{{}, {Addr: "x", Tenant: "a", ClientID: "b", Retry: cfg.Retry}} {
		if _, err := NewMQTT(wrong, nil); err == nil {
			t.Errorf("%+v is taken", wrong)
		}
	}
}
