package masterdata

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/alarm"
	"github.com/foodflow/foodflow/internal/plant"
)

// word is what the detector of the sensor's line says at an offset.
func (w *watched) word(k plant.AnomalyKind, offset int64, ended bool) Word {
	return Word{Signal: &Signal{
		Sensor: w.x.ID, Line: w.l1.ID, Kind: k, At: 1000 + offset, Since: 1000 + offset, Value: 96, Limit: 95, Ended: ended,
		Place: alarm.Place{TopicID: readings, Partition: 1, Offset: offset}, Epoch: w.x.epoch,
	}}
}

func (w *watched) enters(l *Line, on bool, ts int64) Word {
	return Word{State: &LineState{Line: l.ID, On: on, At: ts, Received: ts}}
}

// hear tells words in one and gives the transitions.
func (w *watched) hear(words ...Word) string {
	w.t.Helper()
	h, err := w.Alarms().Hear(w.t.Context(), w.who.Tenant, words)
	if err != nil || len(h.Refused) > 0 {
		w.t.Fatal(err, h.Refused)
	}
	return strings.ReplaceAll(strings.Join(h.Names, " "), "Alarm", "")
}

// count counts rows of the tenant, of one transaction id each where told to.
func (w *watched) count(query string, args ...any) (n int) {
	w.t.Helper()
	if err := w.db.InTenant(w.t.Context(), w.who.Tenant, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, query, args...).Scan(&n)
	}); err != nil {
		w.t.Fatal(err)
	}
	return n
}

// TestWordsTogether: what is said of several alarms and lines in one comes to what it
// comes to one by one, in one transaction, and said again to nothing; each transition
// is an event and a row of the audit log, and all are announced in their order.
func TestWordsTogether(t *testing.T) {
	const h, hh = plant.AnomalyLimitH, plant.AnomalyLimitHH
	story := func(w *watched) []Word {
		return []Word{
			w.word(h, 1, false), w.word(hh, 2, false), w.word(hh, 2, false), w.word(hh, 3, true), w.enters(w.l1, true, 2000), w.word(hh, 4, false),
			w.enters(w.l1, false, 1500), w.word(h, 5, true), w.enters(w.l2, true, 2500), w.enters(w.l1, false, 3000),
		}
	}
	histories := map[bool]string{}
	for _, together := range []bool{true, false} {
		w := newWatched(t)
		words := story(w)
		var said []string
		if together {
			said = []string{w.hear(words...)}
		} else {
			for _, word := range words {
				if s := w.hear(word); s != "" {
					said = append(said, s)
				}
			}
		}
		w.want("together "+fmt.Sprint(together), "", "", "limit_h cleared, limit_hh active")
		if again := w.hear(words...); again != "" {
			t.Errorf("again: %s", again)
		}
		ids := []plant.ID{alarmID(w.x.ID, "limit_h"), alarmID(w.x.ID, "limit_hh")}
		histories[together] = w.history(w.who, ids[0]) + " | " + w.history(w.who, ids[1])
		if n := strings.Count(strings.Join(said, " "), " ") + 1; n != 9 {
			t.Errorf("%d transitions of 9: %v", n, said)
		}
		if n := w.count("SELECT count(DISTINCT xid) FROM events WHERE aggregate_id = ANY($1)", ids); together != (n == 1) {
			t.Errorf("together %v: %d transactions", together, n)
		}
		if n := w.count("SELECT count(*) FROM audit_log WHERE resource LIKE 'alarm/%'"); n != 9 {
			t.Errorf("%d audit rows of 9", n)
		}
		if rows, broken, err := w.VerifyAudit(t.Context(), w.who.Tenant); err != nil || broken != 0 || rows < 9 {
			t.Errorf("audit chain: %d of %d, %v", broken, rows, err)
		}
		if got := w.announced(ids[1]); got != "1Raised 2Cleared 3Suppressed 4Raised 5Unsuppressed" {
			t.Errorf("announced %s", got)
		}
		if a, err := w.Alarms().Get(t.Context(), w.who.Tenant, ids[1].String()); err != nil || a.Version != 5 || a.Occurrences != 2 {
			t.Errorf("%+v, %v", a, err)
		}
	}
	if histories[true] != histories[false] {
		t.Errorf("together\n%s, one by one\n%s", histories[true], histories[false])
	}
}

// announced gives what waits in the outbox of an alarm.
func (w *watched) announced(id plant.ID) string {
	w.t.Helper()
	var out []string
	if err := w.db.InShared(w.t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT version || replace(event_type, 'Alarm', '') FROM outbox WHERE subject_id = $1 ORDER BY id", id)
		if err != nil {
			return err
		}
		out, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	}); err != nil {
		w.t.Fatal(err)
	}
	return strings.Join(out, " ")
}

// TestRefusedWordsKeepNoOtherBack: a sensor and a line that are gone and a figure that
// is none are refused; what is said beside them counts.
func TestRefusedWordsKeepNoOtherBack(t *testing.T) {
	w := newWatched(t)
	gone, none := w.word(plant.AnomalyLimitH, 2, false), w.word(plant.AnomalyLimitH, 3, false)
	gone.Signal.Sensor, none.Signal.Value = plant.NewID(), math.NaN()
	h, err := w.Alarms().Hear(t.Context(), w.who.Tenant, []Word{
		w.word(plant.AnomalyLimitHH, 1, false), gone, none, {State: &LineState{Line: plant.NewID(), On: true, At: 1, Received: 1}}, w.word(plant.AnomalyRange, 4, false),
	})
	if err != nil || len(h.Refused) != 3 || len(h.Names) != 2 {
		t.Fatalf("%+v, %v", h, err)
	}
	for _, r := range h.Refused {
		if !Refused(r) {
			t.Errorf("%v is not refused", r)
		}
	}
	w.want("beside them", "", "", "limit_hh active, range active")
}

// TestChatteringAlarm: a limit that is passed 1,500 times at once is counted each time
// and told of eleven times, of which the last says that it is there; a minute later it
// is told how it stands, and of how many nothing was. What a person does is told with
// it too. The control is an alarm beside it, of which all is told.
func TestChatteringAlarm(t *testing.T) {
	const h, hh = plant.AnomalyLimitH, plant.AnomalyLimitHH
	w := newWatched(t)
	clock := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	w.now = func() time.Time { return clock }
	id, ctx := alarmID(w.x.ID, "limit_hh"), t.Context()
	var words []Word
	for i := range int64(3000) {
		words = append(words, w.word(hh, i, i%2 == 1))
	}
	words = append(words, w.word(h, 5000, false), w.word(h, 5001, true))
	for range 2 { // again: nothing
		for _, half := range [][]Word{words[:1501], words[1501:]} {
			w.hear(half...)
		}
	}
	w.want("flapped", "", "", "limit_h cleared, limit_hh cleared")
	all := strings.TrimSuffix(strings.Repeat("Raised system; Cleared system; ", 5)+"Raised system", " ")
	if got := w.history(w.who, id); got != all {
		t.Errorf("history\n%s, want\n%s", got, all)
	}
	if got := w.announced(alarmID(w.x.ID, "limit_h")); got != "1Raised 2Cleared" {
		t.Errorf("control: %s", got)
	}
	a, err := w.Alarms().Get(ctx, w.who.Tenant, id.String())
	if err != nil || a.Occurrences != 1500 || a.Version != 3000 {
		t.Fatalf("%+v, %v", a, err)
	}
	tick := func(want int) {
		t.Helper()
		if _, n, err := w.Alarms().Tick(ctx); err != nil || n != want {
			t.Errorf("told of %d alarms, want %d, %v", n, want, err)
		}
	}
	tick(0)
	clock = clock.Add(alarm.ChatterWindow)
	tick(1)
	tick(0)
	if got := w.last(id); got != "AlarmCleared 2989 1500 false" {
		t.Errorf("a minute later: %s", got)
	}
	w.hear(w.word(hh, 9000, false), w.word(hh, 9001, true), w.word(hh, 9002, false))
	if _, err := w.Alarms().Act(ctx, w.who, id.String(), AnyVersion, alarm.Input{Action: alarm.Acknowledge}, ""); err != nil {
		t.Fatal(err)
	}
	if got := w.last(id); got != "AlarmAcknowledged 2 1502 true" {
		t.Errorf("acknowledged: %s", got)
	}
	clock = clock.Add(alarm.ChatterWindow)
	tick(0)
	if rows, broken, err := w.VerifyAudit(ctx, w.who.Tenant); err != nil || broken != 0 || rows > 40 {
		t.Errorf("audit: %d rows, broken at %d, %v", rows, broken, err)
	}
}

// last gives the last event of an alarm: its type, what it folds, and of the alarm how
// often it came and whether it is there.
func (w *watched) last(id plant.ID) (out string) {
	w.t.Helper()
	if err := w.db.InTenant(w.t.Context(), w.who.Tenant, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT concat_ws(' ', type, coalesce(data->>'folded', '0'), data->>'occurrences', data->>'present')
			FROM events WHERE aggregate_id = $1 ORDER BY seq DESC LIMIT 1`, id).Scan(&out)
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// TestLineThatFlapsIsToldOfOnce: a line that goes in and out of cleaning within a poll
// tells its alarms how it ends.
func TestLineThatFlapsIsToldOfOnce(t *testing.T) {
	w := newWatched(t)
	w.hear(w.word(plant.AnomalyLimitHH, 1, false))
	var words []Word
	for i := range int64(501) {
		words = append(words, w.enters(w.l1, i%2 == 0, 2000+i))
	}
	if got := w.hear(words...); got != "Suppressed" {
		t.Errorf("told %s", got)
	}
	w.want("flapped", "", "", "limit_hh suppressed")
}

// TestFactsTogether: of facts that are raised together each new one is stored once,
// with a seq of its own, in one transaction; one that can't be is refused alone.
func TestFactsTogether(t *testing.T) {
	w := newWatched(t)
	var facts []Fact
	for i := range 300 {
		facts = append(facts, Fact{ID: plant.NameID(w.x.ID, fmt.Sprint(i%200)), Type: "AnomalyDetected", AggregateType: "sensor", Aggregate: w.x.ID, TS: time.UnixMilli(int64(i)), Data: map[string]any{"i": i}})
	}
	facts[7].Data = math.Inf(1)
	names, refused, err := w.RaiseAll(t.Context(), w.who.Tenant, facts)
	if err != nil || len(names) != 199 || len(refused) != 1 || !Refused(refused[0]) {
		t.Fatalf("%d names, refused %v, %v", len(names), refused, err)
	}
	if names, _, err := w.RaiseAll(t.Context(), w.who.Tenant, facts[10:]); err != nil || len(names) != 1 {
		t.Errorf("again: %d names, %v", len(names), err) // the copy of the one that was refused
	}
	const stored = "FROM events WHERE type = 'AnomalyDetected'"
	if n, seqs, xids := w.count("SELECT count(*) "+stored), w.count("SELECT max(seq) - min(seq) + 1 "+stored), w.count("SELECT count(DISTINCT xid) "+stored); n != 200 || seqs != 200 || xids != 2 {
		t.Errorf("%d events in %d seqs and %d transactions", n, seqs, xids)
	}
}
