package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/tenancy"
)

// work stands for export and deletion, which are tested in internal/tenancy: it
// writes what exported says.
func (w *world) work() []job.Step {
	return []job.Step{{Name: "write", Do: func(_ context.Context, r *job.Run) error {
		if w.exported != nil {
			r.Result(w.exported(r))
		}
		return nil
	}}}
}

// worked starts the jobs until the test ends.
func (w *world) worked() {
	w.t.Helper()
	must(w.t, w.jobs.Start(w.t.Context()))
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(w.t, w.jobs.Stop(ctx))
	})
}

func (w *world) done(token, location string) map[string]any {
	w.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		j := w.call(token, "GET", location, nil).want(w.t, 200).json(w.t)
		if j["state"] == job.Done {
			return j
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the job is %v", j)
		}
	}
}

// TestExportIsTheTenantsOwn: a tenant's admin exports and takes the archive, in
// parts too; another tenant's finds nothing.
func TestExportIsTheTenantsOwn(t *testing.T) {
	w := newWorld(t)
	w.exported = func(r *job.Run) any {
		dir := tenancy.Folder(w.s.cfg.Archives, *r.Job.TenantID)
		must(t, os.MkdirAll(dir, 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "a.tar"), []byte("the archive"), 0o600))
		return tenancy.Archive{Name: "a.tar", Bytes: 11, SHA256: "00ff"}
	}
	w.worked()
	rival, _ := w.login(rivalAdmin, rivalPassword)
	token := w.admin()
	w.call(rival, "POST", tenantsPath+"/demo/export", nil).want(t, 404)
	asked := w.call(rival, "POST", tenantsPath+"/rival/export", nil).want(t, 202)
	at := asked.header.Get("Location")
	w.done(rival, at)
	get := func(credential string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, at+"/archive", nil)
		r.Header.Set("Authorization", "Bearer "+credential)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		rec := httptest.NewRecorder()
		w.s.Handler().ServeHTTP(rec, r)
		return rec
	}
	whole := get(rival)
	if whole.Code != 200 || whole.Body.String() != "the archive" || whole.Header().Get("Content-Type") != "application/x-tar" || whole.Header().Get("Repr-Digest") != "sha-256=:AP8=:" {
		t.Errorf("%d %v %s", whole.Code, whole.Header(), whole.Body)
	}
	if part := get(rival, "Range", "bytes=4-6"); part.Code != 206 || part.Body.String() != "arc" {
		t.Errorf("a part: %d %s", part.Code, part.Body)
	}
	if operator := get(token); operator.Code != 200 {
		t.Errorf("the installation's admin: %d", operator.Code)
	}
	own := w.call(token, "POST", tenantsPath+"/demo/export", nil).want(t, 202).header.Get("Location")
	w.done(token, own)
	w.call(rival, "GET", own+"/archive", nil).want(t, 404)
	must(t, os.RemoveAll(w.s.cfg.Archives))
	w.call(token, "GET", own+"/archive", nil).want(t, 404)
}

// TestDeletionTakesTwoSteps: suspended first, then confirmed by name.
func TestDeletionTakesTwoSteps(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	rival, _ := w.login(rivalAdmin, rivalPassword)
	w.call(rival, "DELETE", tenantsPath+"/rival?confirm=Rival", nil, "If-Match", "*").want(t, 403)
	w.call(token, "DELETE", tenantsPath+"/nobody?confirm=Rival", nil, "If-Match", "*").want(t, 404)
	w.call(token, "DELETE", tenantsPath+"/demo?confirm=Demo", nil, "If-Match", "*").want(t, 409)
	w.call(token, "DELETE", tenantsPath+"/rival?confirm=Rival", nil, "If-Match", "*").want(t, 409)
	w.call(token, "POST", tenantsPath+"/rival/suspend", nil).want(t, 200)
	for _, confirm := range []string{"", "?confirm=rival", "?confirm=Rival%20"} {
		a := w.call(token, "DELETE", tenantsPath+"/rival"+confirm, nil, "If-Match", "*").want(t, 422)
		if e := a.json(t)["errors"].([]any)[0].(map[string]any); e["location"] != "confirm" || e["rule"] != "confirm" {
			t.Errorf("%q: %s", confirm, a.body)
		}
	}
	j := w.call(token, "DELETE", tenantsPath+"/rival?confirm=Rival", nil, "If-Match", "*").want(t, 202).json(t)
	if j["kind"] != tenancy.KindDelete || j["tenant_key"] != "rival" {
		t.Errorf("job %v", j)
	}
	again := w.call(token, "DELETE", tenantsPath+"/rival?confirm=Rival", nil, "If-Match", "*").want(t, 202).json(t)
	if again["id"] != j["id"] {
		t.Error("asking again makes another job")
	}
	log := w.call(token, "GET", auditPath+"?limit=10", nil).want(t, 200).json(t)["items"].([]any)
	if log[0].(map[string]any)["action"] != "TenantDeletionRequested" {
		t.Errorf("the log says %v", log[0])
	}
	w.call(token, "GET", tenantsPath+"/rival/deletion", nil).want(t, 404)
	w.call(rival, "GET", tenantsPath+"/rival/deletion", nil).want(t, 403)
}
