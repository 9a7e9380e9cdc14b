package masterdata

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// The states of a batch.
const (
	BatchPlanned   = "planned"
	BatchRunning   = "running"
	BatchCompleted = "completed"
	BatchAborted   = "aborted"
)

// Batch is one production order of one product on one line.
type Batch struct {
	Meta
	BatchFields
	State     string       `json:"state" enum:"planned,running,completed,aborted"`
	StartedAt *time.Time   `json:"started_at"`
	EndedAt   *time.Time   `json:"ended_at"`
	Figures   BatchFigures `json:"figures"`
}

// BatchFields is what a user says of a batch.
type BatchFields struct {
	Key             string     `json:"key" minLength:"1" maxLength:"100" doc:"order or batch number; can't be changed" example:"B-2026-0042"`
	LineID          plant.ID   `json:"line_id" format:"uuid"`
	ProductID       plant.ID   `json:"product_id" format:"uuid"`
	Unit            string     `json:"unit" minLength:"1" maxLength:"32" example:"bottle"`
	PlannedQuantity float64    `json:"planned_quantity" exclusiveMinimum:"0" example:"12000"`
	ActualQuantity  *float64   `json:"actual_quantity,omitempty" minimum:"0" doc:"good units made" example:"11850"`
	ScrapQuantity   *float64   `json:"scrap_quantity,omitempty" minimum:"0" doc:"units scrapped" example:"130"`
	Currency        string     `json:"currency,omitempty" pattern:"^[A-Z]{3}$" default:"EUR" doc:"ISO 4217"`
	LabourCost      *float64   `json:"labour_cost,omitempty" minimum:"0" example:"420"`
	MaterialCost    *float64   `json:"material_cost,omitempty" minimum:"0" example:"1310.5"`
	ScrapCost       *float64   `json:"scrap_cost,omitempty" minimum:"0" example:"14.3"`
	LotsIn          []Lot      `json:"lots_in,omitempty" nullable:"false" maxItems:"1000" doc:"material used"`
	LotsOut         []Lot      `json:"lots_out,omitempty" nullable:"false" maxItems:"1000" doc:"goods made"`
	Note            string     `json:"note,omitempty" maxLength:"2000"`
	PlannedStart    *time.Time `json:"planned_start,omitempty"`
}

// Lot is a lot of material or of goods.
type Lot struct {
	Lot      string  `json:"lot" minLength:"1" maxLength:"100" example:"L-7781"`
	Material string  `json:"material,omitempty" maxLength:"100" example:"PET preform 0.5 l"`
	Quantity float64 `json:"quantity,omitempty" minimum:"0" example:"12100"`
	Unit     string  `json:"unit,omitempty" maxLength:"32" example:"piece"`
}

// BatchFigures is what follows from the quantities and costs; null where the
// parts are missing or the denominator is 0.
type BatchFigures struct {
	Yield     *float64 `json:"yield" doc:"good over good and scrap"`
	ScrapRate *float64 `json:"scrap_rate" doc:"scrap over good and scrap"`
	Completed *float64 `json:"completed" doc:"good over planned"`
	TotalCost *float64 `json:"total_cost" doc:"labour, material and scrap, as far as known"`
	UnitCost  *float64 `json:"unit_cost" doc:"total cost over good units"`
}

// figures computes the ratios of a batch.
func (b *Batch) figures() BatchFigures {
	var f BatchFigures
	ratio := func(over, under float64) *float64 {
		if under == 0 {
			return nil
		}
		v := over / under
		return &v
	}
	if b.ActualQuantity != nil {
		f.Completed = ratio(*b.ActualQuantity, b.PlannedQuantity)
		if b.ScrapQuantity != nil {
			f.Yield = ratio(*b.ActualQuantity, *b.ActualQuantity+*b.ScrapQuantity)
			f.ScrapRate = ratio(*b.ScrapQuantity, *b.ActualQuantity+*b.ScrapQuantity)
		}
	}
	for _, c := range []*float64{b.LabourCost, b.MaterialCost, b.ScrapCost} {
		if c == nil {
			continue
		}
		sum := *c
		if f.TotalCost != nil {
			sum += *f.TotalCost
		}
		sum = round6(sum)
		f.TotalCost = &sum
	}
	if f.TotalCost != nil && b.ActualQuantity != nil {
		f.UnitCost = ratio(*f.TotalCost, *b.ActualQuantity)
	}
	return f
}

// round6 gives an amount as Postgres keeps it, numeric(20,6): sums of amounts have
// no more places than they.
func round6(v float64) float64 { return math.Round(v*1e6) / 1e6 }

// Batches gives the operations on batches.
func (s *Store) Batches() Batches {
	return Batches{set[Batch]{s, batchResource(), []string{"line_id", "product_id", "state"}}}
}

// Batches is the operations on batches: those of every thing, and the moves of
// the state machine.
type Batches struct{ set[Batch] }

func batchResource() *resource[Batch] {
	return &resource[Batch]{
		table: "batches", aggregate: "batch", noun: "Batch",
		columns: []string{
			"key", "line_id", "product_id", "state", "unit", "planned_quantity", "actual_quantity", "scrap_quantity", "currency",
			"labour_cost", "material_cost", "scrap_cost", "lots_in", "lots_out", "note", "planned_start", "started_at", "ended_at",
		},
		meta: func(b *Batch) *Meta { return &b.Meta },
		bind: func(b *Batch) []any {
			return []any{
				&b.Key, &b.LineID, &b.ProductID, &b.State, &b.Unit, &b.PlannedQuantity, &b.ActualQuantity, &b.ScrapQuantity, &b.Currency,
				&b.LabourCost, &b.MaterialCost, &b.ScrapCost, &b.LotsIn, &b.LotsOut, &b.Note, &b.PlannedStart, &b.StartedAt, &b.EndedAt,
			}
		},
		check: checkBatch,
		load: func(_ context.Context, _ pgx.Tx, batches []*Batch) error {
			for _, b := range batches {
				b.Figures = b.figures()
			}
			return nil
		},
	}
}

func checkBatch(b *Batch) *rules {
	if b.State == "" {
		b.State = BatchPlanned
	}
	if b.Currency == "" {
		b.Currency = "EUR"
	}
	if b.LotsIn == nil {
		b.LotsIn = []Lot{}
	}
	if b.LotsOut == nil {
		b.LotsOut = []Lot{}
	}
	var r rules
	r.key("key", b.Key, 100)
	r.text("unit", b.Unit, 1, plant.MaxUnit)
	if !(b.PlannedQuantity > 0) || b.PlannedQuantity > maxQuantity {
		r.add("planned_quantity", "range", "must be above 0 and at most %v", float64(maxQuantity))
	}
	for name, v := range map[string]*float64{
		"actual_quantity": b.ActualQuantity, "scrap_quantity": b.ScrapQuantity,
		"labour_cost": b.LabourCost, "material_cost": b.MaterialCost, "scrap_cost": b.ScrapCost,
	} {
		if v != nil {
			r.quantity(name, *v)
		}
	}
	if !currencyForm.MatchString(b.Currency) {
		r.add("currency", "pattern", "must be three capital letters")
	}
	r.prose("note", b.Note, 2000)
	r.instant("planned_start", b.PlannedStart)
	r.lots("lots_in", b.LotsIn)
	r.lots("lots_out", b.LotsOut)
	b.Figures = b.figures()
	return &r
}

// currencyForm is that of ISO 4217.
var currencyForm = regexp.MustCompile(`^[A-Z]{3}$`)

func (r *rules) lots(location string, lots []Lot) {
	if !r.count(location, len(lots), 1000) {
		return
	}
	for i, l := range lots {
		at := fmt.Sprintf("%s[%d]", location, i)
		r.text(at+".lot", l.Lot, 1, 100)
		r.text(at+".material", l.Material, 0, 100)
		r.quantity(at+".quantity", l.Quantity)
		r.text(at+".unit", l.Unit, 0, plant.MaxUnit)
	}
}

// maxQuantity is what numeric(20,6) holds, and far below where a float64 loses
// whole units.
const maxQuantity = 1e12

// Start moves a planned batch to running.
func (x Batches) Start(ctx context.Context, who Actor, idOrKey string, expected int64) (*Batch, error) {
	return x.move(ctx, who, idOrKey, expected, "BatchStarted", BatchRunning, nil, BatchPlanned)
}

// Complete moves a running batch to completed; change sets what was made.
func (x Batches) Complete(ctx context.Context, who Actor, idOrKey string, expected int64, change func(*Batch) error) (*Batch, error) {
	return x.move(ctx, who, idOrKey, expected, "BatchCompleted", BatchCompleted, change, BatchRunning)
}

// Abort ends a batch that is planned or running.
func (x Batches) Abort(ctx context.Context, who Actor, idOrKey string, expected int64) (*Batch, error) {
	return x.move(ctx, who, idOrKey, expected, "BatchAborted", BatchAborted, nil, BatchPlanned, BatchRunning)
}

func (x Batches) move(ctx context.Context, who Actor, idOrKey string, expected int64, event, to string, change func(*Batch) error, from ...string) (b *Batch, err error) {
	err = x.s.write(ctx, who, func(ctx context.Context, w *writing) error {
		b, err = x.r.update(ctx, w, idOrKey, expected, event, func(b *Batch) error {
			legal := false
			for _, f := range from {
				legal = legal || b.State == f
			}
			if !legal {
				return fault.New(fault.Conflict, "a batch that is %s can't become %s: it would have to be %s", b.State, to, strings.Join(from, " or "))
			}
			b.State = to
			if to == BatchRunning {
				b.StartedAt = &w.now
			} else {
				b.EndedAt = &w.now
			}
			if change == nil {
				return nil
			}
			return change(b)
		})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("moving batch to %s: %w", to, err)
	}
	return b, nil
}
