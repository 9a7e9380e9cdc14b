package api

import (
	"context"
	"testing"
	"time"
)

// startJobs lets the world's jobs be done until the test ends.
func (w *world) startJobs() {
	w.t.Helper()
	must(w.t, w.jobs.Start(w.t.Context()))
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(w.t, w.jobs.Stop(ctx))
	})
}

// finished looks at a job until it is.
func (w *world) finished(token, location string) map[string]any {
	w.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		j := w.call(token, "GET", location, nil).want(w.t, 200).json(w.t)
		if j["finished_at"] != nil {
			return j
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the job is %v", j)
		}
	}
}

// TestTenantMadeByAJob holds the asynchronous way of making a tenant, and who
// sees the job.
func TestTenantMadeByAJob(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	in := map[string]any{"key": "third", "name": "Third", "admin": map[string]any{"email": "c@third.example", "name": "C", "password": "third-password"}}
	rival, _ := w.login(rivalAdmin, rivalPassword)
	w.call(rival, "POST", tenantsPath, in, "Prefer", "respond-async").want(t, 403)
	asked := w.call(token, "POST", tenantsPath, in, "Prefer", "wait=1, Respond-Async").want(t, 202)
	if asked.header.Get("Preference-Applied") != "respond-async" || asked.json(t)["state"] != "queued" {
		t.Errorf("asked: %v %s", asked.header, asked.body)
	}
	location := asked.header.Get("Location")
	w.call(rival, "GET", location, nil).want(t, 404)
	w.startJobs()
	done := w.finished(token, location)
	if done["state"] != "done" || done["share"] != 1.0 || done["result"].(map[string]any)["state"] != "active" {
		t.Fatalf("done: %v", done)
	}
	w.sync()
	third, _ := w.login("c@third.example", "third-password")
	// The new tenant's admin sees the one job that is its own, the operator all.
	if own := w.call(third, "GET", jobsPath, nil).want(t, 200).json(t)["items"].([]any); len(own) != 1 {
		t.Errorf("the tenant sees %d jobs", len(own))
	}
	w.call(third, "GET", location, nil).want(t, 200)
	page := w.call(token, "GET", jobsPath+"?kind=tenant-provision&limit=1", nil).want(t, 200).json(t)
	if items := page["items"].([]any); len(items) != 1 || items[0].(map[string]any)["id"] != done["id"] {
		t.Errorf("page: %v", page)
	}
	if none := w.call(rival, "GET", jobsPath+"?tenant="+done["tenant_id"].(string), nil).want(t, 200).json(t)["items"].([]any); len(none) != 0 {
		t.Errorf("the rival sees %v", none)
	}
	// The same again finds the tenant there.
	w.call(token, "POST", tenantsPath, in, "Prefer", "respond-async").want(t, 409)
}
