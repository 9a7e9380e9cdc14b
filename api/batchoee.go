package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

type batchOEEIn struct {
	ID string `path:"id" maxLength:"200" doc:"id or key of the batch"`
}

// batchOEE is what a batch's line did while the batch ran: the plant's own
// counts beside what was said of the batch.
type batchOEE struct {
	BatchID plant.ID                `json:"batch_id" format:"uuid"`
	LineID  plant.ID                `json:"line_id" format:"uuid"`
	State   string                  `json:"state" enum:"running,completed,aborted"`
	Batch   masterdata.BatchFigures `json:"batch_figures" doc:"from the quantities that were said of the batch"`
	OEE     oeeItem                 `json:"oee" doc:"from what the line counted and did"`
	Ledger  ledgerItem              `json:"ledger"`
	Losses  lossItem                `json:"losses"`
}

type batchOEEOut struct{ Body batchOEE }

func (s *Server) batchOEERoute() {
	op := huma.Operation{
		Method: http.MethodGet, Path: opsPath + "batches/{id}/oee", OperationID: "batch-oee", Summary: "OEE of a batch's run", Tags: []string{"oee"},
		Description: "Of the line, from the minute in which the batch started to the end of the one in which it ended, or to now.",
		Errors:      []int{http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable},
	}
	handle(s, readers(), op, func(ctx context.Context, in *batchOEEIn) (*batchOEEOut, error) {
		b, err := s.Store.Batches().Get(ctx, principal(ctx).Tenant, in.ID)
		if err != nil {
			return nil, err
		}
		if b.StartedAt == nil {
			return nil, fault.New(fault.Conflict, "the batch is %s and has not run", b.State)
		}
		from, to := b.StartedAt.UnixMilli(), s.Now().UnixMilli()
		if b.EndedAt != nil {
			to = b.EndedAt.UnixMilli()
		}
		from, to = from/minuteMS*minuteMS, (to+minuteMS-1)/minuteMS*minuteMS
		rows, err := s.Readings.OEE(ctx, query.OEEQuery{Tenant: principal(ctx).Tenant, Line: b.LineID, From: from, To: to})
		if err != nil {
			return nil, err
		}
		var sum query.OEEParts // nothing is known of a run that has just begun
		if len(rows) > 0 {
			sum = rows[0]
		}
		return &batchOEEOut{batchOEE{
			BatchID: b.ID, LineID: b.LineID, State: b.State, Batch: b.Figures,
			OEE: oeeOf(&sum, from, to), Ledger: ledgerOf(&sum, from, to), Losses: lossesOf(&sum, from, to),
		}}, nil
	})
}
