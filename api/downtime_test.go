package api

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/processors/oee"
)

// lineStory puts two days of a line into the fake stores, as the processors
// would have written them.
func (w *world) lineStory(start int64) {
	r := rand.New(rand.NewPCG(3, 4))
	cfg, l := oee.DefaultConfig(), oee.Line{}
	minutes := map[int64]*query.OEEParts{}
	emit := func(p *plant.OEEPart) {
		m := minutes[p.Minute]
		if m == nil {
			m = &query.OEEParts{TS: p.Minute}
			minutes[p.Minute] = m
		}
		for c, to := range []*int64{
			&m.NoSignal, &m.Unscheduled, &m.PlannedStop, &m.Setup, &m.CIP, &m.AllergenClean, &m.Breakdown, &m.MinorStop, &m.Starved, &m.Blocked, &m.Running,
		} {
			*to += p.TimeMS[c]
		}
		m.PlannedBusy, m.Run = m.PlannedBusy+p.PlannedBusyMS, m.Run+p.RunMS
	}
	for ts := start; ts < start+2*dayMS; ts += 1 + r.Int64N(900_000) {
		e := plant.LineEvent{TS: ts, Type: plant.EventState, State: plant.State(1 + r.IntN(len(plant.States())-1)), Reason: []string{"", "filler-jam", "b"}[r.IntN(3)], Seq: plant.NoSeq}
		e.ID = plant.EventID(&e)
		_, err := l.Event(&e)
		must(w.t, err)
		l.Advance(&cfg, emit)
		w.read.states = append(w.read.states, query.LineState{TS: e.TS, State: e.State.String(), Reason: e.Reason})
	}
	for _, m := range minutes {
		w.read.minutes = append(w.read.minutes, *m)
	}
	slices.SortFunc(w.read.minutes, func(a, b query.OEEParts) int { return int(a.TS - b.TS) })
}

// stops reads every page.
func (w *world) stops(q string, limit int) (out []map[string]any) {
	w.t.Helper()
	path := opsPath + "lines/bottling-1/downtime?limit=" + fmt.Sprint(limit) + q
	for next := path; ; {
		v := w.call(w.seed.Key.Reveal(), "GET", next, nil).want(w.t, 200).json(w.t)
		items := v["items"].([]any)
		if len(items) > limit {
			w.t.Fatalf("%d stops on a page of %d", len(items), limit)
		}
		for _, x := range items {
			out = append(out, x.(map[string]any))
		}
		c, ok := v["next_cursor"].(string)
		if !ok {
			return out
		}
		next = path + "&cursor=" + url.QueryEscape(c)
	}
}

// TestDowntimeAgreesWithLedgerAndLosses reads stops, ledger and losses of the
// same span: class by class they say the same, to the millisecond, whatever the
// span and the length of a page.
func TestDowntimeAgreesWithLedgerAndLosses(t *testing.T) {
	w := newWorld(t)
	start := time.Now().Add(-72*time.Hour).UnixMilli() / minuteMS * minuteMS
	w.lineStory(start)
	key := w.seed.Key.Reveal()
	all := 0
	for _, span := range [][2]int64{{0, 2 * dayMS}, {7 * minuteMS, 600 * minuteMS}, {601*minuteMS + 1, 1777*minuteMS - 5}, {1440 * minuteMS, 1441 * minuteMS}} {
		q := fmt.Sprintf("&from=%d&to=%d", start+span[0], start+span[1])
		stops := w.stops(q, 1000)
		all += len(stops)
		sum := map[string]float64{}
		last := ""
		for _, x := range stops {
			sum[x["class"].(string)] += x["duration_ms"].(float64)
			if x["from"].(string) < last {
				t.Fatalf("%v begins before %s", x, last)
			}
			last = x["to"].(string)
		}
		ledger := w.call(key, "GET", opsPath+"lines/bottling-1/ledger?"+q[1:], nil).want(t, 200).json(t)["items"].([]any)[0].(map[string]any)["classes_ms"].(map[string]any)
		for class, ms := range ledger {
			if class != "running" && sum[class] != ms.(float64) {
				t.Errorf("%v: %v ms of %s in stops, %v in the ledger", span, sum[class], class, ms)
			}
		}
		losses := w.call(key, "GET", opsPath+"lines/bottling-1/losses?"+q[1:], nil).want(t, 200).json(t)["items"].([]any)[0].(map[string]any)
		if losses["breakdown_ms"] != sum["breakdown"] || losses["minor_stop_ms"] != sum["minor_stop"] || losses["setup_ms"] != sum["setup"]+sum["cip"]+sum["allergen_clean"] {
			t.Errorf("%v: losses %v, stops %v", span, losses, sum)
		}
		for _, limit := range []int{1, 7} {
			if paged := w.stops(q, limit); fmt.Sprint(paged) != fmt.Sprint(stops) {
				t.Errorf("%v: pages of %d give %d stops, one page %d", span, limit, len(paged), len(stops))
			}
		}
	}
	if all < 100 {
		t.Errorf("only %d stops", all)
	}
}

func TestDowntimeFilters(t *testing.T) {
	w := newWorld(t)
	start := time.Now().Add(-72*time.Hour).UnixMilli() / minuteMS * minuteMS
	w.lineStory(start)
	q := fmt.Sprintf("&from=%d&to=%d", start, start+2*dayMS)
	stops := w.stops(q, 1000)
	for filter, keeps := range map[string]func(map[string]any) bool{
		"&class=breakdown,setup":  func(x map[string]any) bool { return x["class"] == "breakdown" || x["class"] == "setup" },
		"&reason=filler-jam":      func(x map[string]any) bool { return x["reason"] == "filler-jam" && x["reason_name"] != nil },
		"&min_duration_ms=300000": func(x map[string]any) bool { return x["duration_ms"].(float64) >= 300_000 },
		"&class=planned_stop&min_duration_ms=60000": func(x map[string]any) bool {
			return x["class"] == "planned_stop" && x["duration_ms"].(float64) >= 60_000
		},
	} {
		want := slices.DeleteFunc(slices.Clone(stops), func(x map[string]any) bool { return !keeps(x) })
		got := w.stops(q+filter, 3)
		if fmt.Sprint(got) != fmt.Sprint(want) || len(want) == 0 || len(want) == len(stops) {
			t.Errorf("%s: %d stops of %d, want %d", filter, len(got), len(stops), len(want))
		}
	}
	path := opsPath + "lines/bottling-1/downtime?limit=1" + q
	cursor := w.call(w.seed.Key.Reveal(), "GET", path, nil).want(t, 200).json(t)["next_cursor"].(string)
	w.call(w.seed.Key.Reveal(), "GET", path+"&class=setup&cursor="+cursor, nil).want(t, 400)
}
