package api

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

// alarm raises the high limit of a sensor, as the stream would, and gives the
// alarm's id.
func (w *world) alarm(tenant, sensor plant.ID) plant.ID {
	w.t.Helper()
	w.signal(tenant, masterdata.Signal{Sensor: sensor, Line: demo.ID("line", demo.Bottling), Kind: plant.AnomalyLimitH, At: time.Now().UnixMilli(), Since: time.Now().Add(-time.Second).UnixMilli(), Value: 8, Limit: 7})
	return plant.NameID(sensor, "alarm", "limit_h")
}

func (w *world) signal(tenant plant.ID, g masterdata.Signal) {
	w.t.Helper()
	heard, err := w.s.Store.Alarms().Hear(w.t.Context(), tenant, []masterdata.Word{{Signal: &g}})
	must(w.t, errors.Join(append(heard.Refused, err)...))
}

// TestAlarmRoutes is an operator's day with one alarm.
func TestAlarmRoutes(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	id := w.alarm(demo.TenantID(), demo.ID("sensor", "filler-temperature"))
	one := alarmsPath + "/" + id.String()
	a := w.call(token, "GET", one, nil).want(t, 200)
	if v := a.json(t); v["state"] != "active" || v["limit"] != 7.0 || a.header.Get("ETag") != `"1"` {
		t.Errorf("raised: %v", v)
	}
	do := func(verb string, body any, status int, state string, more ...string) answer {
		t.Helper()
		a := w.call(token, "POST", one+"/"+verb, body, more...).want(t, status)
		if status == 200 && a.json(t)["state"] != state {
			t.Errorf("%s: %v", verb, a.json(t))
		}
		return a
	}
	do("acknowledge", map[string]any{}, 412, "", "If-Match", `"7"`)
	acked := do("acknowledge", map[string]any{"comment": "seen"}, 200, "acknowledged", "If-Match", `"1"`)
	if v := acked.json(t); !strings.HasPrefix(v["actor"].(string), "user:") || v["comment"] != "seen" || v["acknowledged"] != true {
		t.Errorf("acknowledged: %v", v)
	}
	if text := string(do("acknowledge", map[string]any{}, 409, "").body); !strings.Contains(text, "nothing of it waits") {
		t.Errorf("no reason in %s", text)
	}
	do("unshelve", map[string]any{}, 409, "")
	for _, bad := range []map[string]any{
		{"kind": "timed", "comment": "x"},
		{"kind": "one_shot", "minutes": 5, "comment": "x"},
		{"kind": "timed", "minutes": 5, "until": "2027-01-01T00:00:00Z", "comment": "x"},
		{"kind": "timed", "minutes": 5},
		{"kind": "timed", "minutes": 0, "comment": "x"},
		{"kind": "forever", "comment": "x"},
		{"kind": "timed", "minutes": 5, "comment": ""},
	} {
		do("shelve", bad, 422, "")
	}
	do("shelve", map[string]any{"kind": "timed", "until": "2020-01-01T00:00:00Z", "comment": "x"}, 409, "")
	do("shelve", map[string]any{"kind": "timed", "minutes": 30, "comment": "calibration"}, 200, "shelved")
	do("shelve", map[string]any{"kind": "one_shot", "comment": "still"}, 200, "shelved")
	do("unshelve", map[string]any{}, 200, "acknowledged")
	do("out-of-service", map[string]any{}, 422, "")
	do("out-of-service", map[string]any{"comment": "no probe"}, 200, "out_of_service")
	do("in-service", map[string]any{}, 200, "acknowledged")
	events := w.call(token, "GET", "/api/v1/events?aggregate_id="+id.String(), nil).want(t, 200).json(t)["items"].([]any)
	if len(events) != 7 || events[0].(map[string]any)["type"] != "AlarmReturnedToService" {
		t.Errorf("%d events, the newest %v", len(events), events[0])
	}
	w.call(token, "GET", alarmsPath+"/"+plant.NewID().String(), nil).want(t, 404)
	w.call(token, "GET", alarmsPath+"/nonsense", nil).want(t, 422)
}

func TestAlarmList(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	for i, key := range []string{"filler-temperature", "filler-pressure", "filler-flow"} {
		for j, k := range []plant.AnomalyKind{plant.AnomalyLimitH, plant.AnomalyLimitHH} {
			at := time.Now().Add(-time.Duration(i) * time.Hour).UnixMilli()
			w.signal(demo.TenantID(), masterdata.Signal{Sensor: demo.ID("sensor", key), Line: demo.ID("line", demo.Bottling), Kind: k, At: at, Since: at})
			if j == 1 {
				w.signal(demo.TenantID(), masterdata.Signal{Sensor: demo.ID("sensor", key), Line: demo.ID("line", demo.Bottling), Kind: k, At: at + 5, Since: at + 5, Ended: true})
			}
		}
	}
	count := func(q string) (n int) {
		t.Helper()
		for next := alarmsPath + "?limit=2" + q; next != ""; {
			v := w.call(token, "GET", next, nil).want(t, 200).json(t)
			n += len(v["items"].([]any))
			next = ""
			if c, ok := v["next_cursor"].(string); ok {
				next = alarmsPath + "?limit=2" + q + "&cursor=" + url.QueryEscape(c)
			}
		}
		return n
	}
	for q, want := range map[string]int{
		"": 6, "&state=active": 3, "&state=cleared": 3, "&state=active,cleared": 6, "&state=shelved": 0, "&line=bottling-1": 6, "&sensor=filler-flow": 2,
		"&sensor=filler-flow&kind=limit_hh": 1, fmt.Sprint("&from=", time.Now().Add(-90*time.Minute).UnixMilli()): 4, "&kind=rate": 0,
	} {
		if got := count(q); got != want {
			t.Errorf("%q: %d alarms, want %d", q, got, want)
		}
	}
	w.call(token, "GET", alarmsPath+"?line=none", nil).want(t, 404)
	w.call(token, "GET", alarmsPath+"?state=odd", nil).want(t, 422)
	first := w.call(token, "GET", alarmsPath+"?limit=2", nil).want(t, 200).json(t)["next_cursor"].(string)
	w.call(token, "GET", alarmsPath+"?limit=2&state=active&cursor="+first, nil).want(t, 400)
	rival, _ := w.login(rivalAdmin, rivalPassword)
	w.call(rival, "GET", alarmsPath+"?limit=2&cursor="+first, nil).want(t, 400)
	if v := w.call(rival, "GET", alarmsPath, nil).want(t, 200).json(t); len(v["items"].([]any)) != 0 {
		t.Errorf("the rival sees %v", v)
	}
}
