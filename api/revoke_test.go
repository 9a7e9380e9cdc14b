package api

import (
	"net/http"
	"testing"
)

// TestDeletedAdminIsNobody: an admin who was deleted makes neither an admin nor a
// key with the token that is left.
func TestDeletedAdminIsNobody(t *testing.T) {
	w := newWorld(t)
	root := w.admin()
	made := w.call(root, http.MethodPost, usersPath, map[string]any{"email": "eve@demo.example", "name": "Eve", "role": "admin", "password": "correct horse 1"}).json(t)
	eve, _ := w.login("eve@demo.example", "correct horse 1")
	key := map[string]any{"name": "backdoor", "scopes": []string{"manage"}}
	if a := w.call(eve, http.MethodPost, "/api/v1/api-keys", key); a.status != http.StatusCreated {
		t.Fatalf("before: %d %s", a.status, a.body)
	}
	if a := w.call(root, http.MethodDelete, usersPath+"/"+made["id"].(string), nil, "If-Match", "*"); a.status != http.StatusNoContent {
		t.Fatalf("delete: %d %s", a.status, a.body)
	}
	w.sync()
	for _, c := range []struct {
		path string
		body any
	}{{"/api/v1/api-keys", key}, {usersPath, map[string]any{"email": "mallory@demo.example", "name": "M", "role": "admin", "password": "correct horse 2"}}} {
		if a := w.call(eve, http.MethodPost, c.path, c.body); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", c.path, a.status, a.body)
		}
	}
}
