package simulate

import (
	"context"
)

// compareReadings judges the readings that the simulator sent, and then the
// minutes, which must come to these and to what others sent.
func (t *truth) compareReadings(ctx context.Context, ch Querier, r *Report) error {
	own, others := map[cell]record{}, map[cell]record{}
	err := t.minutes(ctx, ch, queryReadings, 3, func(c cell, row []string, m record) {
		if row[2] == "1" {
			own[c] = m
			return
		}
		others[c] = m
		r.Others += m.Count
	})
	if err != nil {
		return err
	}
	t.judge("readings", t.readings, own, &r.Readings, r)

	summed := map[cell]record{}
	err = t.minutes(ctx, ch, queryMinutes, 2, func(c cell, _ []string, m record) { summed[c] = m })
	if err != nil {
		return err
	}
	want := others
	for c, w := range t.readings {
		want[c] = w.with(others[c])
	}
	t.judge("readings_1m", want, summed, &r.Minutes, r)
	return nil
}

// minutes asks for the figures of sensors by minute and hands over those that
// the journal answers for; they stand behind so many columns.
func (t *truth) minutes(ctx context.Context, ch Querier, query string, columns int, each func(cell, []string, record)) error {
	return t.cells(ctx, ch, query, t.sensors, columns, 5, func(c cell, row []string, v []float64) {
		if t.covered(c.minute) {
			each(c, row, record{Count: int64(v[0]), Valid: int64(v[1]), Sum: v[2], Min: v[3], Max: v[4]})
		}
	})
}

// with joins the figures of one minute.
func (r record) with(o record) record {
	if r.Valid == 0 || o.Valid > 0 && o.Min < r.Min {
		r.Min = o.Min
	}
	if r.Valid == 0 || o.Valid > 0 && o.Max > r.Max {
		r.Max = o.Max
	}
	r.Count, r.Valid, r.Sum = r.Count+o.Count, r.Valid+o.Valid, r.Sum+o.Sum
	return r
}

// judge holds what a table has against what it must have.
func (t *truth) judge(table string, want, found map[cell]record, f *Figures, r *Report) {
	for c, w := range want {
		f.Expected += w.Count
		if _, ok := found[c]; !ok {
			f.Missing += w.Count
			f.Wrong++
			r.fault("%s %s %s: expected %d readings, found none", table, c.key, clock(c.minute), w.Count)
		}
	}
	for c, g := range found {
		w := want[c]
		f.count(w.Count, g.Count)
		same := w.Count == g.Count && w.Valid == g.Valid
		if same && w.Valid > 0 {
			same = near(w.Sum, g.Sum) && w.Min == g.Min && w.Max == g.Max
		}
		if !same {
			f.Wrong++
			r.fault("%s %s %s: expected %d readings, %d valid, sum %v, min %v, max %v; found %d, %d, %v, %v, %v",
				table, c.key, clock(c.minute), w.Count, w.Valid, w.Sum, w.Min, w.Max, g.Count, g.Valid, g.Sum, g.Min, g.Max)
		}
	}
}
