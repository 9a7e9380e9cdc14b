package masterdata

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// Line is a production line.
type Line struct {
	Meta
	LineFields
}

// LineFields is what a user says of a line.
type LineFields struct {
	Key              string      `json:"key" minLength:"1" maxLength:"100" doc:"the plant's own name of it, unique among its lines" example:"bottling-1"`
	Name             string      `json:"name" minLength:"1" maxLength:"200" example:"Bottling line 1"`
	TimeZone         string      `json:"time_zone" doc:"IANA time zone" example:"Europe/Berlin"`
	Unit             string      `json:"unit" minLength:"1" maxLength:"32" doc:"unit of its counts" example:"bottle"`
	IdealRate        float64     `json:"ideal_rate,omitempty" minimum:"0" maximum:"1000000000" doc:"units a minute where no product's rate holds, 0.000001 or more; 0: none" example:"300"`
	IdealRates       []IdealRate `json:"ideal_rates,omitempty" nullable:"false" maxItems:"1000" doc:"ideal rate by product"`
	CalendarID       *plant.ID   `json:"calendar_id,omitempty" format:"uuid" doc:"shift calendar. The OEE ledger does not look at it: all time of a line counts as scheduled"`
	SilenceTimeoutMS int64       `json:"silence_timeout_ms,omitempty" minimum:"0" maximum:"604800000" doc:"how long it may send nothing, milliseconds; 0: the default" example:"120000"`
	MinorStopMS      int64       `json:"minor_stop_ms,omitempty" minimum:"0" maximum:"86400000" doc:"the longest minor stop, milliseconds; 0: the default" example:"300000"`
	Policy           uint32      `json:"policy,omitempty" doc:"version of the OEE policy stamped on figures" example:"1"`
	Constraint       bool        `json:"constraint,omitempty" doc:"sets the pace of a serial line" example:"true"`
}

// IdealRate is a product's ideal rate on a line from a date on.
type IdealRate struct {
	Product   string    `json:"product" doc:"the product's key" example:"water-500"`
	PerMinute float64   `json:"per_minute" minimum:"0.000001" maximum:"1000000000" example:"300"`
	ValidFrom time.Time `json:"valid_from,omitempty" doc:"RFC 3339"`
}

// Lines gives the operations on lines.
func (s *Store) Lines() set[Line] { return set[Line]{s, lineResource(), nil} }

func lineResource() *resource[Line] {
	return &resource[Line]{
		table: "lines", aggregate: directory.KindLine, noun: "Line",
		columns: []string{"key", "name", "time_zone", "unit", "ideal_rate", "calendar_id", "silence_timeout_ms", "minor_stop_ms", "policy", "is_constraint"},
		meta:    func(l *Line) *Meta { return &l.Meta },
		bind: func(l *Line) []any {
			return []any{&l.Key, &l.Name, &l.TimeZone, &l.Unit, &l.IdealRate, &l.CalendarID, &l.SilenceTimeoutMS, &l.MinorStopMS, &l.Policy, &l.Constraint}
		},
		check: checkLine, load: loadRates, save: saveRates, entry: lineEntry,
	}
}

// What a line's silence and a minor stop can be at most.
const (
	maxSilence   = 7 * 24 * time.Hour
	maxMinorStop = 24 * time.Hour
)

func checkLine(l *Line) *rules {
	var r rules
	r.key("key", l.Key, 100)
	r.text("name", l.Name, 1, 200)
	r.zone("time_zone", l.TimeZone)
	r.text("unit", l.Unit, 1, plant.MaxUnit)
	if l.IdealRate != 0 {
		r.rate("ideal_rate", l.IdealRate)
	}
	r.span("silence_timeout_ms", l.SilenceTimeoutMS, maxSilence)
	r.span("minor_stop_ms", l.MinorStopMS, maxMinorStop)
	if !r.count("ideal_rates", len(l.IdealRates), 1000) {
		return &r
	}
	type rate struct {
		product string
		from    int64
	}
	known := map[rate]bool{}
	for i := range l.IdealRates {
		x := &l.IdealRates[i]
		x.ValidFrom = x.from()
		at := fmt.Sprintf("ideal_rates[%d]", i)
		r.text(at+".product", x.Product, 1, plant.MaxProduct)
		r.rate(at+".per_minute", x.PerMinute)
		r.instant(at+".valid_from", &x.ValidFrom)
		one := rate{x.Product, x.ValidFrom.UnixMicro()} // as Postgres tells times apart
		if known[one] {
			r.add(at, "duplicate", "the product has a rate from this time already")
		}
		known[one] = true
	}
	return &r
}

func lineEntry(tenant plant.ID, l *Line) any {
	e := directory.Line{
		ID: l.ID, Tenant: tenant, Key: l.Key, Name: l.Name, TimeZone: l.TimeZone, Unit: l.Unit,
		IdealRate: l.IdealRate, SilenceTimeoutMS: l.SilenceTimeoutMS, MinorStopMS: l.MinorStopMS,
		Policy: l.Policy, Constraint: l.Constraint,
	}
	if l.CalendarID != nil {
		e.Calendar = *l.CalendarID
	}
	for _, x := range l.IdealRates {
		e.Ideal = append(e.Ideal, directory.ProductRate{Product: x.Product, PerMinute: x.PerMinute, From: x.ValidFrom.UnixMilli()})
	}
	return e
}

func loadRates(ctx context.Context, tx pgx.Tx, lines []*Line) error {
	byID := make(map[plant.ID]*Line, len(lines))
	ids := make([]plant.ID, len(lines))
	for i, l := range lines {
		byID[l.ID], ids[i] = l, l.ID
	}
	rows, err := tx.Query(ctx, `SELECT r.line_id, p.key, r.per_minute, r.valid_from
		FROM ideal_rates r JOIN products p ON p.id = r.product_id
		WHERE r.line_id = ANY($1) ORDER BY r.line_id, p.key, r.valid_from`, ids)
	if err != nil {
		return fmt.Errorf("reading ideal rates: %w", err)
	}
	var id plant.ID
	var x IdealRate
	if _, err := pgx.ForEachRow(rows, []any{&id, &x.Product, &x.PerMinute, &x.ValidFrom}, func() error {
		x.ValidFrom = x.ValidFrom.UTC()
		byID[id].IdealRates = append(byID[id].IdealRates, x)
		return nil
	}); err != nil {
		return fmt.Errorf("reading ideal rates: %w", err)
	}
	return nil
}

// from is since when the rate holds; none: since ever.
func (x *IdealRate) from() time.Time {
	if x.ValidFrom.IsZero() {
		return time.UnixMilli(0).UTC()
	}
	return x.ValidFrom
}

// saveRates replaces the line's rates.
func saveRates(ctx context.Context, tx pgx.Tx, l *Line) error {
	if _, err := tx.Exec(ctx, "DELETE FROM ideal_rates WHERE line_id = $1", l.ID); err != nil {
		return fmt.Errorf("replacing ideal rates: %w", err)
	}
	for i := range l.IdealRates {
		x := &l.IdealRates[i]
		tag, err := tx.Exec(ctx, `INSERT INTO ideal_rates (line_id, product_id, valid_from, per_minute)
			SELECT $1, id, $3, $4 FROM products WHERE key = $2 ON CONFLICT DO NOTHING`, l.ID, x.Product, x.ValidFrom, x.PerMinute)
		if err != nil {
			return fmt.Errorf("writing ideal rate: %w", err)
		}
		if tag.RowsAffected() == 0 {
			return fault.NewInvalid(fault.Item{Location: fmt.Sprintf("ideal_rates[%d].product", i), Rule: "unknown", Message: "names no product"})
		}
	}
	return nil
}
