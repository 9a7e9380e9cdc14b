package api

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/plant"
)

func TestRecording(t *testing.T) {
	w := newWorld(t)
	key, recent := w.seed.Key.Reveal(), time.Now().Add(-time.Hour).UTC()
	w.call(key, "POST", "/api/v1/plant-ops/sensors/filler-temperature/readings", map[string]any{"value": 4.5}).want(t, 202)
	w.call(key, "POST", "/api/v1/plant-ops/sensors/readings/bulk", map[string]any{"readings": []any{
		map[string]any{"sensor": "filler-pressure", "value": 3.1, "seq": 7}, map[string]any{"sensor": demo.ID("sensor", "filler-flow"), "value": 9, "quality": "bad", "ts": recent.Format("2006-01-02T15:04:05.000Z")},
	}}).want(t, 202)
	bad := w.call(key, "POST", "/api/v1/plant-ops/sensors/readings/bulk", map[string]any{"readings": []any{
		map[string]any{"sensor": "filler-pressure", "value": 3.1}, map[string]any{"sensor": "none", "value": 9},
	}}).want(t, 422).json(t)
	if at := bad["errors"].([]any)[0].(map[string]any)["location"]; at != "readings[1].sensor" {
		t.Errorf("located at %v", at)
	}
	w.call(key, "POST", "/api/v1/plant-ops/lines/bottling-1/status", map[string]any{"state": "HELD", "reason": "filler-jam"}).want(t, 202)
	w.call(key, "POST", "/api/v1/plant-ops/lines/bottling-1/status", map[string]any{"state": "DANCING"}).want(t, 422)
	if len(w.rec.readings) != 3 || w.rec.readings[1].Seq != 7 || w.rec.readings[2].Quality != plant.QualityBad || w.rec.readings[2].TS != recent.UnixMilli() {
		t.Errorf("readings %+v", w.rec.readings)
	}
	if len(w.rec.events) != 1 || w.rec.events[0].State != plant.StateHeld || w.rec.events[0].Line != demo.ID("line", demo.Bottling) {
		t.Errorf("events %+v", w.rec.events)
	}
}

// TestReadingsWithoutATime: the same value twice in one request is two readings,
// unless a time says that it is one.
func TestReadingsWithoutATime(t *testing.T) {
	w := newWorld(t)
	key := w.seed.Key.Reveal()
	identities := func(reading map[string]any) int {
		w.rec.readings = nil
		w.call(key, "POST", "/api/v1/plant-ops/sensors/readings/bulk", map[string]any{"readings": []any{reading, reading, reading}}).want(t, 202)
		different := map[string]bool{}
		for i := range w.rec.readings {
			different[fmt.Sprint(w.rec.readings[i].Identity())] = true
		}
		return len(different)
	}
	if n := identities(map[string]any{"sensor": "filler-pressure", "value": 3.1}); n != 3 {
		t.Errorf("%d of 3 are told apart", n)
	}
	if n := identities(map[string]any{"sensor": "filler-pressure", "value": 3.1, "ts": time.Now().UnixMilli()}); n != 1 {
		t.Errorf("control: %d are told apart at one time", n)
	}
}

// TestFiguresPastAll: what would make sums infinite is refused, by field and rule.
func TestFiguresPastAll(t *testing.T) {
	w := newWorld(t)
	key := w.seed.Key.Reveal()
	line := func(field string, v any) map[string]any {
		return map[string]any{"key": "x", "name": "x", "unit": "u", "time_zone": "UTC", field: v}
	}
	sensor := func(field string, v any) map[string]any {
		return map[string]any{"key": "x", "name": "x", "unit": "u", "kind": "k", field: v}
	}
	for _, c := range []struct {
		path  string
		body  map[string]any
		field string
	}{
		{"sensors/filler-pressure/readings", map[string]any{"value": 1e101}, "value"},
		{"lines", line("ideal_rate", 1e10), "ideal_rate"},
		{"lines", line("ideal_rate", 1e-9), "ideal_rate"},
		{"lines", line("silence_timeout_ms", int64(1)<<62), "silence_timeout_ms"},
		{"lines", line("minor_stop_ms", int64(1)<<62), "minor_stop_ms"},
		{"sensors", sensor("on_delay_ms", int64(1)<<62), "on_delay_ms"},
		{"sensors", sensor("off_delay_ms", int64(1)<<62), "off_delay_ms"},
		{"sensors", sensor("deadband", 1e101), "deadband"},
		{"sensors", sensor("hh", 1e101), "hh"},
	} {
		bad := w.call(key, "POST", opsPath+c.path, c.body).want(t, 422).json(t)
		if at := bad["errors"].([]any)[0].(map[string]any)["location"]; at != c.field {
			t.Errorf("%v: located at %v", c.body, at)
		}
	}
}

func TestIdempotencyKey(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	in := map[string]any{"key": "once", "name": "Once", "unit": "u", "kind": "k"}
	post := func(body any) answer {
		return w.call(token, "POST", "/api/v1/plant-ops/sensors", body, "Idempotency-Key", "k1")
	}
	a := post(in).want(t, 201)
	b := post(in).want(t, 201)
	if !bytes.Equal(a.body, b.body) || b.header.Get("Idempotency-Replayed") != "true" || b.header.Get("ETag") != `"1"` {
		t.Errorf("first %s, then %s %v", a.body, b.body, b.header)
	}
	in["name"] = "Other"
	post(in).want(t, 422)
	// Without the key the second is what it is: a conflict.
	w.call(token, "POST", "/api/v1/plant-ops/sensors", in).want(t, 409)
}

func TestPostgresAway(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	w.db.Close()
	key := w.seed.Key.Reveal()
	w.call(key, "GET", "/api/v1/plant-ops/sensors/filler-temperature/readings", nil).want(t, 200)
	w.call(token, "GET", "/api/v1/plant-ops/lines/bottling-1/oee", nil).want(t, 200)
	for _, path := range []string{"/api/v1/plant-ops/lines", "/api/v1/events", "/api/v1/users"} {
		a := w.call(token, "GET", path, nil)
		if a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
}
