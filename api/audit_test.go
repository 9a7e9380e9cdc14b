package api

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
)

// TestEveryChangeIsAudited is promise S19, and that of the outbox: each changing
// route that succeeds leaves a row and an event, in the transaction of the change,
// and the chain holds.
func TestEveryChangeIsAudited(t *testing.T) { everyChangeIsAudited(t, newWorld(t)) }

func everyChangeIsAudited(t *testing.T, w *world) {
	t.Helper()
	token := w.admin()
	rows := func() float64 {
		return w.call(token, "GET", auditPath+"/check", nil).want(t, 200).json(t)["rows"].(float64)
	}
	made := map[string]string{"tenants": "rival", "alarms": w.alarm(demo.TenantID(), demo.ID("sensor", "filler-temperature")).String()}
	covered, changing, jobs := 0, 0, 0
	// POST on a list first, so that the others have something to change; DELETE
	// last.
	routes := w.routes()
	order := func(r route) int {
		switch {
		case r.method == http.MethodDelete:
			return 3
		case strings.HasSuffix(r.path, "/abort") || strings.HasSuffix(r.path, "/resume") || strings.HasSuffix(r.path, "/complete") || strings.HasSuffix(r.path, "/in-service") || strings.HasSuffix(r.path, "/unshelve"):
			return 2
		case strings.Contains(r.path, "{id}"):
			return 1
		}
		return 0
	}
	slices.SortStableFunc(routes, func(a, b route) int { return order(a) - order(b) })
	for _, r := range routes {
		if r.method == http.MethodGet || r.roles == nil || strings.Contains(r.path, "/readings") || strings.HasSuffix(r.path, "/status") {
			continue // no change of master data: readings and states go to Kafka
		}
		changing++
		kind := strings.Split(strings.TrimPrefix(strings.TrimPrefix(r.path, opsPath), "/api/v1/"), "/")[0]
		body := w.body(r)
		if o, ok := body.(map[string]any); ok && r.method == http.MethodPost {
			for name, id := range map[string]plant.ID{"line_id": demo.ID("line", demo.Bottling), "product_id": demo.ID("product", "water-500")} {
				if o[name] != nil {
					o[name] = id
				}
			}
			if o["key"] != nil && kind != "tenants" {
				o["key"] = "made-" + plant.NewID().String()[:8]
			}
			if o["email"] != nil {
				o["email"] = "made@demo.example"
			}
		}
		path := strings.Replace(r.path, "{id}", made[kind], 1)
		if strings.HasSuffix(path, "/abort") {
			// Completed by now: abort another.
			b := map[string]any{"key": "to-abort", "line_id": demo.ID("line", demo.Bottling), "product_id": demo.ID("product", "water-500"), "unit": "u", "planned_quantity": 1}
			path = opsPath + "batches/" + w.call(token, "POST", opsPath+"batches", b).want(t, 201).json(t)["id"].(string) + "/abort"
		}
		if r.method == http.MethodPatch {
			body = map[string]any{"name": "Changed"}
			if kind == "batches" {
				body = map[string]any{"note": "Changed"}
			}
		}
		if kind == "tenants" && r.method == http.MethodDelete {
			w.call(token, "POST", tenantsPath+"/rival/suspend", nil).want(t, 200)
			path += "?confirm=Rival"
		}
		before, announced := rows(), w.announced()
		a := w.call(token, r.method, path, body, "If-Match", "*")
		if a.status >= 300 {
			t.Errorf("%s %s: %d %s", r.method, path, a.status, a.body)
			continue
		}
		if !strings.Contains(r.path, "{id}") && kind != "tenants" {
			made[kind], _ = a.json(t)["id"].(string)
		}
		if rows() <= before {
			t.Errorf("%s %s left no row", r.method, path)
			continue
		}
		// What is done by a job is announced by it: TenantExported, TenantDeleting
		// and TenantDeleted are held by the tests of package tenancy.
		if byJob := a.status == http.StatusAccepted; byJob {
			jobs++
		} else if w.announced() <= announced {
			t.Errorf("%s %s left no event", r.method, path)
		}
		covered++
	}
	t.Logf("changing routes %d, audited %d, done by jobs %d", changing, covered, jobs)
	if changing < 25 || covered != changing || jobs != 2 {
		t.Errorf("%d of %d changing routes audited, %d done by jobs", covered, changing, jobs)
	}
	w.oneTransaction()
	check := w.call(token, "GET", auditPath+"/check", nil).want(t, 200).json(t)
	if check["intact"] != true {
		t.Errorf("the chain is broken: %v", check)
	}
	first := w.call(token, "GET", auditPath+"?limit=2", nil).want(t, 200).json(t)
	second := w.call(token, "GET", auditPath+"?limit=2&cursor="+first["next_cursor"].(string), nil).want(t, 200).json(t)
	a, b := first["items"].([]any)[1].(map[string]any)["seq"].(float64), second["items"].([]any)[0].(map[string]any)["seq"].(float64)
	if a != b+1 {
		t.Errorf("pages break between %v and %v", a, b)
	}
}

// announced counts the events that wait in the outbox, which nobody empties.
func (w *world) announced() (n int) {
	w.t.Helper()
	must(w.t, w.db.InShared(w.t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT count(*) FROM outbox WHERE kind = 'event'").Scan(&n)
	}))
	return n
}

// oneTransaction holds every event of the demo tenant against its outbox row, and
// every audit row that names an event against that: one transaction wrote them.
func (w *world) oneTransaction() {
	w.t.Helper()
	var events, together, audited int
	schema := postgres.Schema(demo.TenantID())
	must(w.t, w.db.InShared(w.t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, `SELECT count(*), count(o.id), count(a.seq) FROM `+schema+`.events e
			LEFT JOIN outbox o ON o.event_id = e.id AND o.xid = e.xid
			LEFT JOIN `+schema+`.audit_log a ON a.detail->>'event_id' = e.id::text AND a.xmin = e.xid::xid`).Scan(&events, &together, &audited)
	}))
	if events < 30 || together != events || audited != events {
		w.t.Errorf("of %d events %d are in the outbox and %d in the audit log by the same transaction", events, together, audited)
	}
}
