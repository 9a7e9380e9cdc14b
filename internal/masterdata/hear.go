package masterdata

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/alarm"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// Word is what the stream says to a tenant's alarms: one of the two.
type Word struct {
	Signal *Signal
	State  *LineState
}

// Heard is what came of words.
type Heard struct {
	// Names are the transitions made, those that are told later too.
	Names []string
	// Suppressed says of each line whose state was told whether its alarms are
	// suppressed now.
	Suppressed map[plant.ID]bool
	// Refused says why words were refused for what they say; the others count.
	Refused []error
}

// Hear takes what the stream says, in its order and in one transaction. Saying it
// again makes no transition. An error that is Refused is the fault of one of the
// words, and nothing was taken.
func (x Alarms) Hear(ctx context.Context, tenant plant.ID, words []Word) (Heard, error) {
	var h *hearing
	if err := x.s.write(ctx, System(tenant), func(ctx context.Context, w *writing) error {
		h = &hearing{x: x, w: w}
		if err := h.load(ctx, words); err != nil {
			return err
		}
		for i := range words {
			if err := h.word(ctx, &words[i]); refusedAlone(err) {
				h.refused = append(h.refused, err)
			} else if err != nil {
				return err
			}
		}
		for _, line := range h.spoke {
			if err := h.settle(ctx, line); err != nil {
				return err
			}
		}
		return h.write(ctx)
	}); err != nil {
		return Heard{}, err
	}
	out := Heard{Names: h.names, Suppressed: map[plant.ID]bool{}, Refused: h.refused}
	for _, line := range h.spoke {
		out.Suppressed[line] = h.lines[line].on
	}
	return out, nil
}

// hearing is a transaction in which alarms are told things: they are read once,
// change in memory, and are written once.
type hearing struct {
	x Alarms
	w *writing

	sensors map[plant.ID]hearer
	lines   map[plant.ID]*suppression
	alarms  map[plant.ID]*told
	order   []*told    // of alarms, those that are to be written
	spoke   []plant.ID // lines that said something, the first first

	names   []string
	refused []error
	entries []entry
}

// hearer is what counts of a sensor.
type hearer struct {
	line  *plant.ID
	epoch int64
}

// told is an alarm in memory.
type told struct {
	Alarm
	fresh   bool // it has no row yet
	changed bool // what people see of it has
	heard   bool // only where it was heard of last has moved on: no new version
}

// load reads what words are about.
func (h *hearing) load(ctx context.Context, words []Word) error {
	sensors, lines, states, ids := map[plant.ID]bool{}, map[plant.ID]bool{}, map[plant.ID]bool{}, map[plant.ID]bool{}
	for _, word := range words {
		if g := word.Signal; g != nil {
			sensors[g.Sensor], ids[alarmID(g.Sensor, g.Kind.String())] = true, true
			lines[g.Line] = true
		} else {
			lines[word.State.Line], states[word.State.Line] = true, true
		}
	}
	rows, err := h.w.tx.Query(ctx, "SELECT id, line_id, epoch FROM sensors WHERE id = ANY($1)", slices.Collect(maps.Keys(sensors)))
	if err != nil {
		return fmt.Errorf("reading the sensors of alarms: %w", err)
	}
	h.sensors = map[plant.ID]hearer{}
	var id plant.ID
	var line *plant.ID
	var epoch int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &line, &epoch}, func() error { h.sensors[id] = hearer{line, epoch}; return nil }); err != nil {
		return fmt.Errorf("reading the sensors of alarms: %w", err)
	}
	if h.lines, err = suppressions(ctx, h.w.tx, slices.Collect(maps.Keys(lines))); err != nil {
		return err
	}
	list, err := h.x.query(ctx, h.w.tx, " WHERE id = ANY($1) OR line_id = ANY($2) ORDER BY id FOR UPDATE",
		slices.Collect(maps.Keys(ids)), slices.Collect(maps.Keys(states)))
	if err != nil {
		return err
	}
	h.alarms = map[plant.ID]*told{}
	for _, a := range list {
		h.keep(&told{Alarm: *a})
	}
	return nil
}

// keep remembers an alarm, to be written at the end.
func (h *hearing) keep(t *told) {
	h.alarms[t.ID], h.order = t, append(h.order, t)
}

// word takes one word. What it refuses, it refuses for what the word says, and then
// nothing has changed.
func (h *hearing) word(ctx context.Context, word *Word) error {
	if l := word.State; l != nil {
		s := h.lines[l.Line]
		if !s.exists {
			return fmt.Errorf("suppressing alarms of line %s: %w", l.Line, unknown("line_id"))
		}
		s.take(l)
		if !slices.Contains(h.spoke, l.Line) {
			h.spoke = append(h.spoke, l.Line)
		}
		return nil
	}
	g := word.Signal
	if err := h.settle(ctx, g.Line); err != nil {
		return err
	}
	x, ok := h.sensors[g.Sensor]
	switch {
	case !ok && g.Ended: // its alarms ended with it
		return nil
	case !ok:
		return fmt.Errorf("telling an alarm of sensor %s: %w", g.Sensor, unknown("sensor_id"))
	case g.Line != at(x.line) || !g.Place.TopicID.IsZero() && g.Epoch < x.epoch:
		return nil
	}
	if err := h.signal(ctx, g); err != nil {
		return fmt.Errorf("telling an alarm of sensor %s: %w", g.Sensor, err)
	}
	return nil
}

func unknown(field string) error {
	return fault.NewInvalid(fault.Item{Location: field, Rule: "unknown", Message: "names nothing that exists"})
}

// settle tells a line's alarms what it said last, before one of them is told more: a
// line that goes in and out of a state again and again is told of once.
func (h *hearing) settle(ctx context.Context, line plant.ID) error {
	s := h.lines[line]
	if !s.open {
		return nil
	}
	s.open = false
	in := alarm.Input{Action: alarm.Unsuppress}
	if s.on {
		in.Action = alarm.Suppress
	}
	for _, t := range h.order {
		if t.LineID == nil || *t.LineID != line {
			continue
		}
		if err := h.apply(ctx, t, in, ""); err != nil {
			return err
		}
	}
	return nil
}

// signal tells an alarm. One that is raised on another line than before is
// suppressed or not as that line is; the transition to it is no news of its own.
func (h *hearing) signal(ctx context.Context, g *Signal) error {
	id := alarmID(g.Sensor, g.Kind.String())
	t := h.alarms[id]
	fresh := t == nil
	switch {
	case fresh && g.Ended:
		return nil
	case fresh:
		t = &told{Alarm: Alarm{SensorID: g.Sensor, Kind: g.Kind.String()}, fresh: true}
		m := alarm.New()
		t.ID, t.CreatedAt = id, h.w.now
		t.take(&m)
	}
	before := t.Alarm
	in := alarm.Input{Action: alarm.Raise, At: g.At, Since: g.Since, Place: g.Place, Epoch: g.Epoch}
	switch {
	case g.Ended:
		in.Action = alarm.Clear
	case !t.Present:
		if fresh || at(t.LineID) != g.Line {
			t.Suppressed = h.lines[g.Line].on
		}
		t.Value, t.Bound, t.LineID = g.Value, g.Limit, optional(g.Line)
	}
	if err := h.apply(ctx, t, in, ""); err != nil {
		t.Alarm = before
		return err
	}
	if t.Version == before.Version { // nothing was raised: what it showed stays
		t.Suppressed, t.Value, t.Bound, t.LineID = before.Suppressed, before.Value, before.Bound, before.LineID
	} else if fresh {
		h.keep(t)
	}
	return nil
}

// apply runs the state machine on an alarm in memory. An error leaves it as it was.
func (h *hearing) apply(ctx context.Context, t *told, in alarm.Input, comment string) error {
	now := h.w.now.UnixMilli()
	m := t.machine()
	before := m
	names, err := m.Apply(in, now)
	var illegal *alarm.Illegal
	if errors.As(err, &illegal) {
		return fault.New(fault.Conflict, "%s", illegal.Error())
	}
	if err != nil || m == before {
		return err // a repetition is not worth a write
	}
	next := *t
	next.take(&m)
	if len(names) == 0 {
		next.heard = true
		*t = next
		return nil
	}
	next.changed = true
	next.Actor, next.Comment, next.Version, next.UpdatedAt = h.w.who.Name, comment, t.Version+1, h.w.now
	// What comes and goes again and again is folded; anything else is told, with
	// what was folded before it.
	fold := (in.Action == alarm.Raise || in.Action == alarm.Clear) && len(names) == 1 && !next.chatter.Tells(m.Present, now)
	said := len(h.entries)
	for i, name := range names {
		folded := next.chatter.Folded
		if i > 0 {
			folded = 0
		}
		if err := h.announce(ctx, &next, name, folded); err != nil {
			h.entries = h.entries[:said]
			return err
		}
	}
	if fold {
		h.entries = h.entries[:said] // made all the same, so that what can't be told is refused now
	} else {
		next.chatter.Folded = 0
	}
	*t, h.names = next, append(h.names, names...)
	return nil
}

// announce notes the event of a transition, of the alarm as it is now. Its data says
// of how many transitions before it nothing was told.
func (h *hearing) announce(ctx context.Context, t *told, name string, folded int64) error {
	data, err := json.Marshal(&t.Alarm)
	if err != nil {
		return fmt.Errorf("encoding %s: %w", name, err)
	}
	if folded > 0 {
		data = append(bytes.TrimSuffix(data, []byte("}")), fmt.Sprintf(`,"folded":%d}`, folded)...)
	}
	e, err := h.w.entry(ctx, plant.NewID(), h.w.now, change{h.x.r.aggregate, t.ID, name, json.RawMessage(data)})
	if err != nil {
		return err
	}
	h.entries = append(h.entries, e)
	return nil
}

// write writes what has changed: rows in one go, then the events.
func (h *hearing) write(ctx context.Context) error {
	b := new(pgx.Batch)
	for line, s := range h.lines {
		if s.changed {
			b.Queue(`INSERT INTO alarm_suppressions (line_id, suppressed, at, told) VALUES ($1, $2, $3, $4)
				ON CONFLICT (line_id) DO UPDATE SET suppressed = $2, at = $3, told = $4`, line, s.on, s.at, s.told)
		}
	}
	for _, t := range h.order {
		switch {
		case t.fresh:
			sql, args := h.x.r.insertion(&t.Alarm)
			b.Queue(sql, args...)
		case t.changed:
			sql, args := h.x.r.change(&t.Alarm)
			b.Queue(sql, args...)
		case t.heard:
			b.Queue("UPDATE alarms SET seen = $2, epoch = $3, places = $4 WHERE id = $1", t.ID, t.seen, t.epoch, t.places)
		}
	}
	if b.Len() > 0 {
		if err := h.w.tx.SendBatch(ctx, b).Close(); err != nil {
			return h.x.r.refused("changing", err)
		}
	}
	return h.w.recordAll(ctx, h.entries)
}
