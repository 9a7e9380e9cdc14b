package api

import (
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/plant"
)

// TestTimesThatMoveAreAnswered: a key's last use and a user's last log-in move
// without a new version, so who has the version is still answered whole, and may
// still change what it has seen.
func TestTimesThatMoveAreAnswered(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	made := w.call(token, "POST", "/api/v1/api-keys", map[string]any{"name": "gateway", "scopes": []string{"ingest"}}).want(t, 201)
	text := made.json(t)["id"].(string)
	id, err := plant.ParseID(text)
	must(t, err)
	path, tag, at := "/api/v1/api-keys/"+text, made.header.Get("ETag"), time.Now().Truncate(time.Millisecond).UTC()
	if n, err := w.s.Store.Used(t.Context(), demo.TenantID(), map[plant.ID]time.Time{id: at}); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	got := w.call(token, "GET", path, nil, "If-None-Match", tag).want(t, 200)
	if last := got.json(t)["last_used_at"]; got.header.Get("ETag") != tag || last != at.Format("2006-01-02T15:04:05.000Z") {
		t.Errorf("after a use at %v: last used %v, ETag %s, before %s", at, last, got.header.Get("ETag"), tag)
	}
	w.call(token, "PATCH", path, map[string]any{"name": "gateway 2"}, "If-Match", tag).want(t, 200)
	w.call(token, "GET", "/api/v1/users/"+demo.ID("user", demo.AdminEmail).String(), nil, "If-None-Match", "*").want(t, 200)
}
