package masterdata

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/plant"
)

// LineState is what a line says that its alarms must know: whether it is in a state
// in which they mean nothing. At is the line's time of it, Received the broker's,
// both Unix milliseconds.
type LineState struct {
	Line         plant.ID
	On           bool
	At, Received int64
}

// suppression is whether the alarms of a line are suppressed, and by what.
type suppression struct {
	exists   bool // the line
	known    bool // that it said something
	on       bool
	at, told time.Time

	changed bool // the row is to be written
	open    bool // its alarms are to be told
}

// take takes what a line says: what it said before the newest that is known is not
// news.
//
// A state can't be from after it was received, so that is what counts where the
// line's clock is ahead. One that was ten seconds ahead (what the detector takes for
// a fast clock of a sensor) tells nothing of the order of what follows; then that is
// taken as it comes.
func (s *suppression) take(l *LineState) {
	at, told := time.UnixMilli(min(l.At, l.Received)), time.UnixMilli(l.At)
	if s.known && s.at.Compare(at)*2+s.told.Compare(told) >= 0 && !s.told.After(s.at.Add(10*time.Second)) {
		return
	}
	s.known, s.on, s.at, s.told, s.changed, s.open = true, l.On, at, told, true, true
}

// suppressions reads what is known of lines.
func suppressions(ctx context.Context, tx pgx.Tx, lines []plant.ID) (map[plant.ID]*suppression, error) {
	out := map[plant.ID]*suppression{}
	for _, id := range lines {
		out[id] = new(suppression)
	}
	rows, err := tx.Query(ctx, `SELECT l.id, s.line_id IS NOT NULL, coalesce(s.suppressed, false), coalesce(s.at, 'epoch'), coalesce(s.told, 'epoch')
		FROM lines l LEFT JOIN alarm_suppressions s ON s.line_id = l.id WHERE l.id = ANY($1)`, lines)
	if err != nil {
		return nil, fmt.Errorf("reading suppressions: %w", err)
	}
	var id plant.ID
	var x suppression
	if _, err := pgx.ForEachRow(rows, []any{&id, &x.known, &x.on, &x.at, &x.told}, func() error {
		*out[id] = suppression{exists: true, known: x.known, on: x.on, at: x.at, told: x.told}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("reading suppressions: %w", err)
	}
	return out, nil
}
