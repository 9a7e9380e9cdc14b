package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
)

type batchList struct {
	ListIn
	LineID    string `query:"line_id" format:"uuid" doc:"only batches of this line"`
	ProductID string `query:"product_id" format:"uuid" doc:"only batches of this product"`
	State     string `query:"state" enum:"planned,running,completed,aborted" doc:"only batches in this state"`
}

func (l batchList) where() map[string]string {
	return map[string]string{"line_id": l.LineID, "product_id": l.ProductID, "state": l.State}
}

// MoveIn moves a batch. If-Match is optional: the state machine itself refuses
// a move that doesn't fit.
type MoveIn struct {
	ID      string `path:"id" maxLength:"200" doc:"id or key"`
	IfMatch string `header:"If-Match" doc:"ETag of the version that is meant; none: whichever holds"`
}

func (m MoveIn) expected() (int64, error) {
	if m.IfMatch == "" {
		return masterdata.AnyVersion, nil
	}
	return expected(m.IfMatch)
}

type completeIn struct {
	MoveIn
	Body struct {
		ActualQuantity float64          `json:"actual_quantity" minimum:"0" doc:"good units made" example:"11850"`
		ScrapQuantity  float64          `json:"scrap_quantity" minimum:"0" doc:"units scrapped" example:"130"`
		LabourCost     *float64         `json:"labour_cost,omitempty" minimum:"0"`
		MaterialCost   *float64         `json:"material_cost,omitempty" minimum:"0"`
		ScrapCost      *float64         `json:"scrap_cost,omitempty" minimum:"0"`
		LotsOut        []masterdata.Lot `json:"lots_out,omitempty" nullable:"false" maxItems:"1000"`
	}
}

func (s *Server) batchRoutes() {
	r := &resource[masterdata.Batch, masterdata.BatchFields]{
		path: opsPath + "batches", noun: "batch", tag: "batches", things: s.Store.Batches(), write: operators(),
		fields: func(x *masterdata.Batch) *masterdata.BatchFields { return &x.BatchFields },
		meta:   func(x *masterdata.Batch) *masterdata.Meta { return &x.Meta },
		key:    func(x *masterdata.Batch) string { return x.Key },
		check:  checkBatchChange, about: batchPatchText,
	}
	listRoute[masterdata.Batch, masterdata.BatchFields, batchList](s, r)
	r.getRoute(s)
	r.createRoute(s)
	r.patchRoute(s)
	s.batchOEERoute()
	move(s, "start", "Start a planned batch", func(ctx context.Context, who masterdata.Actor, in *MoveIn, version int64) (*masterdata.Batch, error) {
		return s.Store.Batches().Start(ctx, who, in.ID, version)
	})
	move(s, "abort", "End a batch that is planned or running", func(ctx context.Context, who masterdata.Actor, in *MoveIn, version int64) (*masterdata.Batch, error) {
		return s.Store.Batches().Abort(ctx, who, in.ID, version)
	})
	move(s, "complete", "Complete a running batch", func(ctx context.Context, who masterdata.Actor, in *completeIn, version int64) (*masterdata.Batch, error) {
		return s.Store.Batches().Complete(ctx, who, in.ID, version, func(b *masterdata.Batch) error {
			b.ActualQuantity, b.ScrapQuantity = &in.Body.ActualQuantity, &in.Body.ScrapQuantity
			for _, c := range []struct{ to, from **float64 }{{&b.LabourCost, &in.Body.LabourCost}, {&b.MaterialCost, &in.Body.MaterialCost}, {&b.ScrapCost, &in.Body.ScrapCost}} {
				if *c.from != nil {
					*c.to = *c.from
				}
			}
			if in.Body.LotsOut != nil {
				b.LotsOut = in.Body.LotsOut
			}
			return nil
		})
	})
}

// batchPatchText says which fields of a batch its state fixes.
const batchPatchText = "A planned batch may change in all but its key. Once it has started, line, product and unit are fixed (422). " +
	"Once it has ended, completed or aborted, so is its plan, planned_quantity and planned_start (409); " +
	"what was made and used may still be put right: quantities, costs with their currency, lots and the note."

// checkBatchChange keeps what a batch was from changing once it runs, and what it
// was meant to be once it has ended: its yield is held against the plan.
func checkBatchChange(before, after *masterdata.Batch) error {
	if before.Key != after.Key {
		return immutable("key")
	}
	if before.State == masterdata.BatchPlanned {
		return nil
	}
	switch {
	case before.LineID != after.LineID:
		return immutable("line_id")
	case before.ProductID != after.ProductID:
		return immutable("product_id")
	case before.Unit != after.Unit:
		return immutable("unit")
	}
	if before.State == masterdata.BatchRunning {
		return nil
	}
	var fixed []fault.Item
	add := func(field string, same bool) {
		if !same {
			fixed = append(fixed, fault.Item{Location: field, Rule: "state", Message: "can't be changed once the batch is " + before.State})
		}
	}
	add("planned_quantity", before.PlannedQuantity == after.PlannedQuantity)
	a, b := before.PlannedStart, after.PlannedStart
	add("planned_start", a == nil && b == nil || a != nil && b != nil && a.Equal(*b))
	if fixed == nil {
		return nil
	}
	e := fault.New(fault.Conflict, "a batch that is %s keeps the plan that it had", before.State)
	e.Items = fixed
	return e
}

// move declares one transition of the state machine.
func move[I interface{ expected() (int64, error) }](s *Server, verb, summary string, do func(ctx context.Context, who masterdata.Actor, in *I, version int64) (*masterdata.Batch, error)) {
	op := huma.Operation{
		Method: http.MethodPost, Path: opsPath + "batches/{id}/" + verb, OperationID: verb + "-batch", Summary: summary, Tags: []string{"batches"},
		Errors: []int{http.StatusNotFound, http.StatusConflict, http.StatusPreconditionFailed, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError},
	}
	handle(s, operators(), changesOnce(op), func(ctx context.Context, in *I) (*oneOut[masterdata.Batch], error) {
		version, err := (*in).expected()
		if err != nil {
			return nil, err
		}
		b, err := do(ctx, principal(ctx).Actor(), in, version)
		if err != nil {
			return nil, err
		}
		return &oneOut[masterdata.Batch]{etag(b.Version), b}, nil
	})
}
