package schemas

import (
	"fmt"
	"unicode/utf8"

	"github.com/foodflow/foodflow/internal/plant"
)

// AppendLineEvent appends the frame of a line event.
func (c *Codec) AppendLineEvent(dst []byte, e *plant.LineEvent) []byte {
	dst = append(dst, c.event.prefix[:]...)
	dst = append(dst, e.Tenant[:]...)
	dst = append(dst, e.Line[:]...)
	dst = append(dst, e.ID[:]...)
	dst = appendLong(dst, e.TS)
	dst = appendLong(dst, int64(e.Type))
	dst = appendLong(dst, int64(e.State))
	dst = appendText(dst, e.Reason)
	dst = appendText(dst, e.Product)
	dst = appendDouble(dst, e.Good)
	dst = appendDouble(dst, e.Scrap)
	dst = appendDouble(dst, e.Rework)
	dst = appendText(dst, e.Unit)
	return appendSeq(dst, e.Seq)
}

// DecodeLineEvent reads a frame into e; on an error e is in no certain state.
// Counts are finite and not negative, texts UTF-8 within their bounds. A caller
// that reuses e pays no allocation for texts that repeat.
func (c *Codec) DecodeLineEvent(frame []byte, e *plant.LineEvent) error {
	id, body, err := split(frame)
	if err != nil {
		return err
	}
	if id != c.event.id {
		return c.decodeForeignLineEvent(frame, e)
	}
	cur := cursor{b: body}
	e.Tenant, e.Line, e.ID = cur.id(), cur.id(), cur.id()
	e.TS = cur.long()
	e.Type = plant.EventType(cur.enum(int(plant.EventCount) + 1))
	e.State = plant.State(cur.enum(int(plant.StateMaintenance) + 1))
	cur.text(&e.Reason, plant.MaxReason)
	cur.text(&e.Product, plant.MaxProduct)
	e.Good, e.Scrap, e.Rework = cur.double(), cur.double(), cur.double()
	cur.text(&e.Unit, plant.MaxUnit)
	e.Seq = cur.seq()
	if cur.bad || len(cur.b) > 0 {
		return ErrBody
	}
	return checkLineEvent(e)
}

func checkLineEvent(e *plant.LineEvent) error {
	for _, v := range [...]float64{e.Good, e.Scrap, e.Rework} {
		if !(v >= 0 && v <= plant.MaxCount) {
			return fmt.Errorf("%w: a count is not 0 to %g", ErrBody, plant.MaxCount)
		}
	}
	if e.Seq < plant.NoSeq {
		return fmt.Errorf("%w: seq is negative", ErrBody)
	}
	return checkTS(e.TS)
}

func (c *Codec) decodeForeignLineEvent(frame []byte, e *plant.LineEvent) error {
	var w wireLineEvent
	if err := c.decode(frame, LineEvent, &w); err != nil {
		return err
	}
	typ, ok1 := plant.ParseEventType(w.Type)
	state, ok2 := plant.ParseState(w.State)
	for _, s := range [...]string{w.Reason, w.Product, w.Unit} {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%w: a text is not UTF-8", ErrBody)
		}
	}
	if !ok1 || !ok2 || len(w.Reason) > plant.MaxReason || len(w.Product) > plant.MaxProduct || len(w.Unit) > plant.MaxUnit {
		return fmt.Errorf("%w: type, state or the length of a text", ErrBody)
	}
	*e = plant.LineEvent{
		Tenant: w.Tenant, Line: w.Line, ID: w.ID, TS: w.TS, Type: typ, State: state, Reason: w.Reason, Product: w.Product,
		Good: w.Good, Scrap: w.Scrap, Rework: w.Rework, Unit: w.Unit, Seq: fromSeq(w.Seq),
	}
	return checkLineEvent(e)
}
