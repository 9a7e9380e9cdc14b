package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/directory"
)

type info struct {
	Name    string `json:"name" example:"FoodFlow"`
	Version string `json:"version"`
	OpenAPI string `json:"openapi" example:"/api/openapi.json"`
	Docs    string `json:"docs" example:"/api/docs"`
	Health  string `json:"health" example:"/health"`
}

type health struct {
	Status        string            `json:"status" enum:"ok,degraded" doc:"degraded: a part is away, see checks"`
	Version       string            `json:"version"`
	UptimeSeconds int64             `json:"uptime_seconds"`
	Checks        map[string]string `json:"checks" doc:"part to ok or unavailable"`
}

// pingLimit bounds the look at one store.
const pingLimit = 2 * time.Second

func (s *Server) infoRoutes() {
	type infoOut struct{ Body info }
	handle(s, public(), huma.Operation{Method: http.MethodGet, Path: "/", OperationID: "info", Summary: "What this is", Tags: []string{"info"}},
		func(context.Context, *struct{}) (*infoOut, error) {
			return &infoOut{info{"FoodFlow", s.cfg.Version, "/api/openapi.json", "/api/docs", "/health"}}, nil
		})
	type healthOut struct {
		Status int
		Body   health
	}
	op := huma.Operation{Method: http.MethodGet, Path: "/health", OperationID: "health", Summary: "Whether every part answers", Tags: []string{"info"}}
	op.Description = "200 while the API can serve anything. A part that is away is named; its routes answer 503."
	handle(s, public(), op, func(ctx context.Context, _ *struct{}) (*healthOut, error) {
		out := &healthOut{http.StatusOK, health{Status: "ok", Version: s.cfg.Version, UptimeSeconds: int64(s.Now().Sub(s.started).Seconds()), Checks: map[string]string{}}}
		down := 0
		for name, ping := range map[string]func(context.Context) error{"postgres": s.Store.Ping, "clickhouse": s.Readings.Ping} {
			out.Body.Checks[name] = "ok"
			ctx, cancel := context.WithTimeout(ctx, pingLimit)
			if err := ping(ctx); err != nil {
				out.Body.Checks[name], out.Body.Status = "unavailable", "degraded"
				down++
			}
			cancel()
		}
		if down == len(out.Body.Checks) {
			out.Status = http.StatusServiceUnavailable
		}
		return out, nil
	})
}

// line and sensor look in the directory, which works while
// Postgres is away.
func (s *Server) line(ctx context.Context, idOrKey string) (*directory.Line, error) {
	if l, ok := s.Directory.Line(principal(ctx).Tenant, idOrKey); ok {
		return l, nil
	}
	return nil, missing("line")
}

func (s *Server) sensor(ctx context.Context, idOrKey string) (*directory.Sensor, error) {
	if x, ok := s.Directory.Sensor(principal(ctx).Tenant, idOrKey); ok {
		return x, nil
	}
	return nil, missing("sensor")
}
