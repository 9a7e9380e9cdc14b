package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/intake"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// noOutput takes whatever ingest accepts.
type noOutput struct{}

func (noOutput) Publish(context.Context, string, *ingest.Batch) error                 { return nil }
func (noOutput) Begin(_ context.Context, _ string, _ *ingest.Batch, done func(error)) { done(nil) }

// TestRecordingKeepsTheRulesOfIngest gives both doors the same readings and
// events: what one refuses the other refuses, at the same place and, where the
// schema doesn't speak first, by the same rule.
func TestRecordingKeepsTheRulesOfIngest(t *testing.T) {
	w := newWorld(t)
	codec, err := schemas.NewStaticCodec()
	must(t, err)
	svc, err := ingest.NewService(w.dir, codec, noOutput{}, ingest.DefaultLimits(), nil)
	must(t, err)
	key := w.seed.Key.Reveal()
	bounds, now := w.s.cfg.Bounds, time.Now()
	at := func(d time.Duration) string { return now.Add(d).UTC().Format(time.RFC3339Nano) }
	good := map[string]any{"sensor": "filler-pressure", "ts": at(0), "value": 3.5}
	with := func(name string, v any) map[string]any {
		out := map[string]any{}
		for k, x := range good {
			out[k] = x
		}
		out[name] = v
		return out
	}
	refused, took, compared := 0, 0, 0
	for _, item := range []map[string]any{
		good, with("sensor", demo.ID("sensor", "filler-flow")), with("sensor", "none"), with("sensor", demo.ID("line", demo.Bottling)),
		with("ts", at(bounds.Future-time.Minute)), with("ts", at(bounds.Future+time.Minute)), with("ts", at(-bounds.Past+time.Hour)), with("ts", at(-bounds.Past-time.Hour)),
		with("ts", now.UnixMilli()), with("ts", now.Add(bounds.Future+time.Minute).UnixMilli()), with("ts", "yesterday"), with("ts", int64(math.MaxInt64)), with("ts", int64(-1)), with("ts", 1.5),
		with("value", "4"), with("value", json.Number("1e999")), with("value", nil), with("seq", 0), with("seq", -1), with("seq", 1.5), with("quality", "bad"), with("quality", "odd"), with("more", 1),
	} {
		body, err := json.Marshal(map[string]any{"readings": []any{item}})
		must(t, err)
		b := svc.Begin(demo.TenantID(), ingest.Readings)
		theirs := b.ReadReadings(body)
		if theirs == nil {
			theirs = b.Err()
		}
		a := w.call(key, "POST", opsPath+"sensors/readings/bulk", string(body))
		if (theirs == nil) != (a.status == 202) {
			t.Errorf("%s: ingest says %v, the api %d %s", body, theirs, a.status, a.body)
			continue
		}
		if theirs == nil {
			took++
			continue
		}
		refused++
		var broken *fault.Error
		if text := string(a.body); errors.As(theirs, &broken) && strings.Contains(text, `"errors"`) && !strings.Contains(text, misshapen) { // by its schema, before the rules
			for _, x := range broken.Items {
				if !strings.Contains(text, fmt.Sprintf("%q", x.Location)) || !strings.Contains(text, fmt.Sprintf("%q", x.Rule)) {
					t.Errorf("%s: ingest says %v, the api %s", body, x, text)
				}
				compared++
			}
		}
	}
	if took < 6 || refused < 12 || compared < 7 {
		t.Errorf("took %d, refused %d, compared %d: the list has lost its purpose", took, refused, compared)
	}
	w.rec.events = nil
	for state, want := range map[string]int{"EXECUTE": 202, "HELD": 202, "UNDEFINED": 422, "": 422, "execute it": 422} {
		body := map[string]any{"line": "bottling-1", "ts": at(0), "type": "state", "state": state}
		text, err := json.Marshal(body)
		must(t, err)
		b := svc.Begin(demo.TenantID(), ingest.Events)
		theirs := b.ReadEvent(text)
		if theirs == nil {
			theirs = b.Err()
		}
		a := w.call(key, "POST", opsPath+"lines/bottling-1/status", map[string]any{"state": state, "ts": body["ts"]})
		if a.status != want || (theirs == nil) != (want == 202) {
			t.Errorf("state %q: ingest says %v, the api %d", state, theirs, a.status)
		}
	}
	w.call(key, "POST", opsPath+"lines/bottling-1/status", map[string]any{"state": "HELD", "reason": strings.Repeat("ü", plant.MaxReason)}).want(t, 422)
	w.call(key, "POST", opsPath+"lines/bottling-1/status", map[string]any{"state": "HELD", "ts": at(time.Hour)}).want(t, 422)
}

// TestRecordingCountsAgainstQuotas holds the API to what the directory and the
// configuration allow a tenant and a key to send; one tenant's use is not
// another's.
func TestRecordingCountsAgainstQuotas(t *testing.T) {
	w := newWorld(t)
	cfg := w.s.cfg
	cfg.Quotas.Tenant = directory.Quota{ItemsPerSecond: 10}
	cfg.Quotas.Window = time.Second
	s, err := New(cfg, w.s.Deps)
	must(t, err)
	w.s = s
	now := time.Now()
	w.s.gauge = w.gaugeAt(cfg, func() time.Time { return now })
	key := w.seed.Key.Reveal()
	send := func(credential string, n int) answer {
		list := make([]any, n)
		for i := range list {
			list[i] = map[string]any{"sensor": "filler-pressure", "value": i}
		}
		return w.call(credential, "POST", opsPath+"sensors/readings/bulk", map[string]any{"readings": list})
	}
	send(key, 8).want(t, 202)
	a := send(key, 8).want(t, 429)
	if a.header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	// The tenant's quota, not the key's: another caller of the tenant has none
	// left either, and a state counts as a reading does.
	token := w.admin()
	send(token, 2).want(t, 202)
	w.call(token, "POST", opsPath+"lines/bottling-1/status", map[string]any{"state": "HELD"}).want(t, 429)
	rival, _ := w.login(rivalAdmin, rivalPassword)
	send(rival, 8).want(t, 422) // let in; the sensors aren't theirs
	now = now.Add(time.Second)
	send(key, 8).want(t, 202)
}

func (w *world) gaugeAt(cfg Config, now func() time.Time) *intake.Gauge {
	return intake.NewGauge(w.dir, cfg.Quotas, now, func() {})
}
