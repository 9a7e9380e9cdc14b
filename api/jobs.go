package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/plant"
)

const jobsPath = "/api/v1/jobs"

// Jobs is long work and its progress; job.Service is one.
type Jobs interface {
	Ask(ctx context.Context, r job.Request) (*job.Job, error)
	Get(ctx context.Context, id plant.ID) (*job.Job, error)
	List(ctx context.Context, f job.Filter) ([]*job.Job, bool, error)
}

type jobList struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"1000" default:"100"`
	Cursor string `query:"cursor" maxLength:"1024" doc:"next_cursor of the page before"`
	Kind   string `query:"kind" maxLength:"64" doc:"only jobs of this kind" example:"tenant-export"`
	State  string `query:"state" enum:"queued,running,done,failed" doc:"only jobs in this state"`
	Tenant string `query:"tenant" format:"uuid" doc:"only this tenant's jobs"`
}

type jobIn struct {
	ID string `path:"id" format:"uuid" doc:"id of the job"`
}

type jobOut struct{ Body *job.Job }

// jobRoutes shows long work: all of it to the installation's admins, a tenant's
// own to that tenant's.
func (s *Server) jobRoutes() {
	list := huma.Operation{Method: http.MethodGet, Path: jobsPath, OperationID: "list-jobs", Summary: "List long work, newest first", Tags: []string{"jobs"}}
	handle(s, admins(), list, func(ctx context.Context, in *jobList) (*listOut[job.Job], error) {
		who := principal(ctx)
		f := job.Filter{Kind: in.Kind, State: in.State, Limit: in.Limit}
		if in.Tenant != "" {
			id, err := plant.ParseID(in.Tenant)
			if err != nil {
				return nil, fault.NewInvalid(fault.Item{Location: "tenant", Rule: "format", Message: "must be a UUID"})
			}
			f.Tenant = id
		}
		if s.operator(ctx) != nil {
			if !f.Tenant.IsZero() && f.Tenant != who.Tenant {
				return &listOut[job.Job]{Page[*job.Job]{Items: []*job.Job{}}}, nil
			}
			f.Tenant = who.Tenant
		}
		c := s.cursors(who.Tenant.String(), jobsPath, in.Kind, in.State, f.Tenant.String())
		position, err := c.read(in.Cursor)
		if err != nil {
			return nil, err
		}
		if position != "" {
			if f.Before, err = plant.ParseID(position); err != nil {
				return nil, fault.New(fault.BadRequest, "the cursor is not of this list")
			}
		}
		jobs, more, err := s.Jobs.List(ctx, f)
		if err != nil {
			return nil, err
		}
		out := &listOut[job.Job]{Page[*job.Job]{Items: jobs}}
		if len(jobs) > 0 {
			out.Body.NextCursor = c.make(more, jobs[len(jobs)-1].ID.String())
		}
		return out, nil
	})
	get := huma.Operation{Method: http.MethodGet, Path: jobsPath + "/{id}", OperationID: "get-job", Summary: "Read how far a piece of long work is", Tags: []string{"jobs"}}
	handle(s, admins(), get, func(ctx context.Context, in *jobIn) (*jobOut, error) {
		id, err := plant.ParseID(in.ID)
		if err != nil {
			return nil, missing("job")
		}
		j, err := s.Jobs.Get(ctx, id)
		if err != nil {
			return nil, err
		}
		if s.operator(ctx) != nil && (j.TenantID == nil || *j.TenantID != principal(ctx).Tenant) {
			return nil, missing("job")
		}
		return &jobOut{j}, nil
	})
}
