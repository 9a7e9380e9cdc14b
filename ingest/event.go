package ingest

import (
	"bytes"

	"github.com/foodflow/foodflow/internal/intake"
	"github.com/foodflow/foodflow/internal/plant"
)

// Members of an event, as bits of what was seen.
const (
	evLine = 1 << iota
	evTS
	evType
	evState
	evReason
	evProduct
	evGood
	evScrap
	evRework
	evUnit
	evSeq
	evID
)

// ReadEvents reads {"events":[…]}.
func (b *Batch) ReadEvents(body []byte) error { return b.readList(body, "events", b.readEvent) }

// ReadEventLines reads one event a line.
func (b *Batch) ReadEventLines(body []byte) error { return b.readLines(body, b.readEvent) }

// ReadEvent reads one event that is the whole body.
func (b *Batch) ReadEvent(body []byte) error {
	s := &scanner{b: body}
	b.items = 1
	b.readEvent(s, 0)
	s.end()
	return s.err
}

// member is one member of an event: its bit, and what reads its value.
type member struct {
	bit  int
	read func(b *Batch, s *scanner, line *[]byte, refuse refuseFunc)
}

func eventMember(name string) (member, bool) {
	text := func(field string, limit int, set func(*plant.LineEvent, string)) func(*Batch, *scanner, *[]byte, refuseFunc) {
		return func(b *Batch, s *scanner, _ *[]byte, refuse refuseFunc) {
			t := b.textMember(s, field, refuse)
			if x := intake.Text(field, borrow(t), limit); x != nil {
				refuse(x.Location, x.Rule, x.Message)
			}
			set(&b.event, string(t))
		}
	}
	count := func(field string, to func(*plant.LineEvent) *float64) func(*Batch, *scanner, *[]byte, refuseFunc) {
		return func(b *Batch, s *scanner, _ *[]byte, refuse refuseFunc) {
			*to(&b.event) = countMember(s, field, refuse)
		}
	}
	switch name {
	case "line":
		return member{evLine, func(b *Batch, s *scanner, line *[]byte, refuse refuseFunc) { *line = b.textMember(s, "line", refuse) }}, true
	case "ts":
		return member{evTS, func(b *Batch, s *scanner, _ *[]byte, refuse refuseFunc) { b.event.TS = b.timeMember(s, refuse) }}, true
	case "type":
		return member{evType, typeMember}, true
	case "state":
		return member{evState, stateMember}, true
	case "reason":
		return member{evReason, text("reason", plant.MaxReason, func(e *plant.LineEvent, v string) { e.Reason = v })}, true
	case "product":
		return member{evProduct, text("product", plant.MaxProduct, func(e *plant.LineEvent, v string) { e.Product = v })}, true
	case "unit":
		return member{evUnit, text("unit", plant.MaxUnit, func(e *plant.LineEvent, v string) { e.Unit = v })}, true
	case "good":
		return member{evGood, count("good", func(e *plant.LineEvent) *float64 { return &e.Good })}, true
	case "scrap":
		return member{evScrap, count("scrap", func(e *plant.LineEvent) *float64 { return &e.Scrap })}, true
	case "rework":
		return member{evRework, count("rework", func(e *plant.LineEvent) *float64 { return &e.Rework })}, true
	case "seq":
		return member{evSeq, func(b *Batch, s *scanner, _ *[]byte, refuse refuseFunc) { b.event.Seq = seqMember(s, refuse) }}, true
	case "id":
		return member{evID, idMember}, true
	}
	return member{}, false
}

func typeMember(b *Batch, s *scanner, _ *[]byte, refuse refuseFunc) {
	t := b.textMember(s, "type", refuse)
	typ, ok := plant.ParseEventType(string(t))
	if !ok && len(t) > 0 {
		refuse("type", "unknown", "must be state or count")
	}
	b.event.Type = typ
}

func stateMember(b *Batch, s *scanner, _ *[]byte, refuse refuseFunc) {
	t := b.textMember(s, "state", refuse)
	state, x := intake.State(string(t))
	if len(t) > 0 && x != nil {
		refuse(x.Location, x.Rule, x.Message)
	}
	b.event.State = state
}

func idMember(b *Batch, s *scanner, _ *[]byte, refuse refuseFunc) {
	t := b.textMember(s, "id", refuse)
	id, err := plant.ParseID(string(t))
	if err != nil && len(t) > 0 {
		refuse("id", "invalid", "is not a UUID")
	}
	b.event.ID = id
}

func (b *Batch) readEvent(s *scanner, i int) {
	b.event = plant.LineEvent{Tenant: b.tenant, Seq: plant.NoSeq}
	var line []byte
	seen := 0
	wrong := false
	refuse := func(field, rule, message string) {
		wrong = true
		b.refuse(i, field, rule, message)
	}
	s.object(func(name []byte) {
		m, ok := eventMember(string(name))
		if !ok {
			refuse(string(bytes.ToValidUTF8(name[:min(len(name), 60)], nil)), "unknown_field", "is not a field of a line event")
			s.skip(1)
			return
		}
		if seen&m.bit != 0 {
			refuse(string(name), "duplicate_field", "stands twice")
		}
		seen |= m.bit
		m.read(b, s, &line, refuse)
	})
	if s.err != nil {
		return
	}
	if b.topic != nil {
		line = b.byTopic(line, "line", &seen, evLine, refuse)
		b.arrival(i, &b.event.TS, &b.event.Seq, &seen, evTS)
	}
	eventRules(&b.event, seen, refuse)
	if wrong {
		b.bad++
		return
	}
	b.addEvent(i, line)
}

// eventRules holds an event to what its type asks for.
func eventRules(e *plant.LineEvent, seen int, refuse refuseFunc) {
	required := func(bit int, name string) {
		if seen&bit == 0 {
			refuse(name, "required", "is missing")
		}
	}
	foreign := func(bit int, name, of string) {
		if seen&bit != 0 {
			refuse(name, "not_allowed", "belongs to events of type "+of)
		}
	}
	required(evLine, "line")
	required(evTS, "ts")
	required(evType, "type")
	if seen&evType == 0 {
		return
	}
	if e.Type == plant.EventState {
		required(evState, "state")
		foreign(evGood, "good", "count")
		foreign(evScrap, "scrap", "count")
		foreign(evRework, "rework", "count")
		foreign(evUnit, "unit", "count")
		return
	}
	if seen&(evGood|evScrap|evRework) == 0 {
		refuse("good", "required", "a count needs good, scrap or rework")
	}
	foreign(evState, "state", "state")
	foreign(evReason, "reason", "state")
}

// addEvent resolves the line, holds the event to the rules that need the
// directory or the clock, and encodes it.
func (b *Batch) addEvent(i int, line []byte) {
	e := &b.event
	d, ok := b.dir.LineBytes(b.tenant, line)
	if !ok {
		b.bad++
		b.refuse(i, "line", "unknown", "no line has this id or key")
		return
	}
	if rule, message := b.limits.Bounds.Time(e.TS, b.now); rule != "" {
		b.bad++
		b.refuse(i, "ts", rule, message)
		return
	}
	e.Line = d.ID
	if e.Type == plant.EventCount && e.Unit == "" {
		e.Unit = d.Unit
	}
	if e.ID.IsZero() {
		e.ID = plant.EventID(e)
	}
	b.arena = b.enc.AppendLineEvent(b.arena, e)
	b.keep(e.Key())
}
