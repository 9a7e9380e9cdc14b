package api

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/tenancy"
)

type deleteIn struct {
	ID      string `path:"id" maxLength:"200" doc:"id or key"`
	IfMatch string `header:"If-Match" doc:"ETag of the version that is deleted, or *"`
	Confirm string `query:"confirm" maxLength:"200" doc:"the tenant's name, as it is" example:"Acme Foods"`
}

// askedOut is the answer to a request for long work.
type askedOut struct {
	Location string `header:"Location"`
	Body     *job.Job
}

// deletionOut is a report with what it is checked by.
type deletionOut struct {
	Body struct {
		Report    tenancy.Report `json:"report"`
		Text      string         `json:"text" doc:"the report as hash and signature cover it"`
		SHA256    string         `json:"sha256" doc:"of text, hexadecimal; the next report names it"`
		Signature []byte         `json:"signature" doc:"Ed25519 of text, base64"`
		PublicKey []byte         `json:"public_key" doc:"Ed25519, base64; follows from the installation's secret"`
	}
}

// eraseRoutes are what can be done with all that is kept of a tenant.
func (s *Server) eraseRoutes() {
	export := tenantOp(http.MethodPost, "/{id}/export", "export-tenant", "Write out all that is kept of a tenant, as a job")
	export.DefaultStatus = http.StatusAccepted
	handle(s, admins(), export, func(ctx context.Context, in *tenantIn) (*askedOut, error) {
		t, err := s.tenant(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		return s.ask(ctx, tenancy.KindExport, "TenantExportRequested", t)
	})
	archive := huma.Operation{
		Method: http.MethodGet, Path: jobsPath + "/{id}/archive", OperationID: "get-archive", Tags: []string{"jobs"},
		Summary:   "Take the archive that an export has written; parts of it by Range",
		Responses: map[string]*huma.Response{"200": {Description: "The archive", Content: map[string]*huma.MediaType{"application/x-tar": {Schema: &huma.Schema{Type: "string", Format: "binary"}}}}},
	}
	handle(s, admins(), archive, s.archive)
	remove := tenantOp(http.MethodDelete, "/{id}", "delete-tenant", "Delete a suspended tenant with all that is kept of it, as a job; confirm by its name")
	remove.DefaultStatus = http.StatusAccepted
	remove.Errors = append(remove.Errors, http.StatusPreconditionFailed, http.StatusPreconditionRequired)
	handle(s, admins(), remove, s.deleteTenant)
	handle(s, admins(), tenantOp(http.MethodGet, "/{id}/deletion", "get-deletion", "Read the report of a tenant's deletion"), func(ctx context.Context, in *tenantIn) (*deletionOut, error) {
		if err := s.operator(ctx); err != nil {
			return nil, err
		}
		d, err := s.Store.Deletion(ctx, in.ID)
		if err != nil {
			return nil, err
		}
		out := new(deletionOut)
		out.Body.Text, out.Body.SHA256, out.Body.Signature, out.Body.PublicKey = d.Text, hex.EncodeToString(d.Hash), d.Signature, d.PublicKey
		return out, json.Unmarshal([]byte(d.Text), &out.Body.Report)
	})
}

// tenant finds the caller's own tenant, or any for the installation's admins.
func (s *Server) tenant(ctx context.Context, idOrKey string) (*masterdata.Tenant, error) {
	t, err := s.Store.Tenant(ctx, idOrKey)
	if err != nil {
		return nil, err
	}
	if t.ID != principal(ctx).Tenant && s.operator(ctx) != nil {
		return nil, missing("tenant")
	}
	return t, nil
}

// ask enters a job for a tenant, with a row in the log of who asked: the
// tenant's own log goes with it.
func (s *Server) ask(ctx context.Context, kind, action string, t *masterdata.Tenant) (*askedOut, error) {
	if err := s.audit(ctx, action, t); err != nil {
		return nil, err
	}
	j, err := s.Jobs.Ask(ctx, job.Request{Kind: kind, Tenant: t.ID, TenantKey: t.Key, Actor: principal(ctx).Actor().Name})
	if err != nil {
		return nil, err
	}
	return &askedOut{Location: jobsPath + "/" + j.ID.String(), Body: j}, nil
}

// audit notes in the caller's own log what is asked for a tenant.
func (s *Server) audit(ctx context.Context, action string, t *masterdata.Tenant) error {
	return s.Store.Audit(ctx, principal(ctx).Actor(), action, "tenant/"+t.ID.String(), map[string]string{"key": t.Key, "name": t.Name})
}

func (s *Server) deleteTenant(ctx context.Context, in *deleteIn) (*askedOut, error) {
	if err := s.operator(ctx); err != nil {
		return nil, err
	}
	t, err := s.Store.Tenant(ctx, in.ID)
	if err != nil {
		return nil, err
	}
	version, err := expected(in.IfMatch)
	if err != nil {
		return nil, err
	}
	if version != masterdata.AnyVersion && version != t.Version {
		return nil, fault.New(fault.PreconditionFailed, "the tenant is at another version")
	}
	if t.ID == principal(ctx).Tenant {
		return nil, fault.New(fault.Conflict, "the tenant that runs the installation can't be deleted")
	}
	if err := tenancy.Confirm(t, in.Confirm); err != nil {
		return nil, err
	}
	return s.ask(ctx, tenancy.KindDelete, "TenantDeletionRequested", t)
}

// archive streams the file of a finished export.
func (s *Server) archive(ctx context.Context, in *jobIn) (*huma.StreamResponse, error) {
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
	var a tenancy.Archive
	if j.Kind != tenancy.KindExport || j.State != job.Done || json.Unmarshal(j.Result, &a) != nil {
		return nil, fault.New(fault.NotFound, "the job has written no archive")
	}
	f, err := os.Open(filepath.Join(tenancy.Folder(s.cfg.Archives, *j.TenantID), filepath.Base(a.Name)))
	if err != nil {
		return nil, &fault.Error{Kind: fault.NotFound, Detail: "the archive is not here: it was removed, or another process has it", Cause: err}
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer f.Close()
		r, w := humachi.Unwrap(c)
		w.Header().Set("Content-Type", "application/x-tar")
		w.Header().Set("Content-Disposition", `attachment; filename="`+filepath.Base(a.Name)+`"`)
		w.Header().Set("Repr-Digest", "sha-256=:"+digest(a.SHA256)+":")
		http.ServeContent(&patient{w, http.NewResponseController(w), s.cfg.Write}, r, "", j.UpdatedAt, f)
	}}, nil
}

// digest turns hexadecimal digits into base64 (RFC 9530).
func digest(hexadecimal string) string {
	raw, err := hex.DecodeString(hexadecimal)
	if err != nil {
		return "" // the job wrote it
	}
	return base64.StdEncoding.EncodeToString(raw)
}

// patient gives a slow reader of a long answer as much time for each part as
// others have for the whole.
type patient struct {
	http.ResponseWriter
	control *http.ResponseController
	each    time.Duration
}

// Write sends a part.
func (p *patient) Write(b []byte) (int, error) {
	// A writer without deadlines, as in tests, has none to move.
	_ = p.control.SetWriteDeadline(time.Now().Add(p.each))
	return p.ResponseWriter.Write(b)
}
