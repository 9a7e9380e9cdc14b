package api

import (
	"bytes"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/postgres"
)

// What the process that is to die learns from its environment.
const (
	childPostgres = "FOODFLOW_TEST_CHILD_POSTGRES"
	childToken    = "FOODFLOW_TEST_CHILD_TOKEN"
	childPath     = "FOODFLOW_TEST_CHILD_PATH"
	childBody     = "FOODFLOW_TEST_CHILD_BODY"
	childBeside   = "FOODFLOW_TEST_CHILD_BESIDE"
)

const theKey = "the-same-key"

// TestKilledBetweenCommitAndAnswer: an API process that dies (-9) between the commit
// of a change and its answer leaves both; the repetition gets that answer, and there
// is one thing. One that dies before the commit leaves neither. The control: with the
// answer stored beside the change, the repetition makes a second thing.
func TestKilledBetweenCommitAndAnswer(t *testing.T) {
	if os.Getenv(childPostgres) != "" {
		dieOnRequest(t)
	}
	w := newWorld(t)
	token := w.admin()
	w.call(token, "POST", opsPath+"batches", map[string]any{"key": "B-1", "line_id": demo.ID("line", demo.Bottling), "product_id": demo.ID("product", "water-500"), "unit": "u", "planned_quantity": 1}).want(t, 201)
	user := w.call(token, "POST", usersPath, map[string]any{"email": "p@demo.example", "name": "P", "role": "viewer", "password": "a long password"}).want(t, 201).json(t)["id"].(string)
	alarmed := w.alarm(demo.TenantID(), demo.ID("sensor", "filler-temperature")).String()
	for _, c := range []struct{ path, body, count string }{
		{opsPath + "sensors", `{"key":"once","name":"Once","unit":"u","kind":"k"}`, "SELECT count(*) FROM sensors WHERE key = 'once'"},
		{"/api/v1/api-keys", `{"name":"once","scopes":["read"]}`, "SELECT count(*) FROM api_keys WHERE name = 'once'"},
		{usersPath, `{"email":"once@demo.example","name":"Once","role":"viewer","password":"a long password"}`, "SELECT count(*) FROM users WHERE name = 'Once'"},
		{usersPath + "/" + user + "/password", `{"password":"another password"}`, "SELECT version - 1 FROM users WHERE id = '" + user + "'"},
		{opsPath + "batches/B-1/start", "", "SELECT version - 1 FROM batches WHERE key = 'B-1'"},
		{alarmsPath + "/" + alarmed + "/acknowledge", "{}", "SELECT count(*) FROM events WHERE type = 'AlarmAcknowledged'"},
	} {
		w.die(token, c.path, c.body, "idempotent.commit", "")
		if n := strings.TrimSpace(w.dump(c.count)); n != "0" {
			t.Errorf("%s: killed before the commit, %s are there", c.path, n)
		}
		// Nobody knows yet that the first one is dead; minutes later it is taken for it.
		w.call(token, "POST", c.path, c.body, "Idempotency-Key", theKey).want(t, 409)
		w.dump("DELETE FROM idempotency WHERE status IS NULL RETURNING key")

		w.die(token, c.path, c.body, "idempotent.committed", "")
		first := w.call(token, "POST", c.path, c.body, "Idempotency-Key", theKey)
		second := w.call(token, "POST", c.path, c.body, "Idempotency-Key", theKey)
		if n := strings.TrimSpace(w.dump(c.count)); n != "1" {
			t.Errorf("%s: killed after the commit and repeated, %s are there", c.path, n)
		}
		if first.status >= 300 || first.header.Get("Idempotency-Replayed") != "true" {
			t.Fatalf("%s: the repetition is answered %d %v %s", c.path, first.status, first.header, first.body)
		}
		if first.status != second.status || !bytes.Equal(first.body, second.body) || !slices.Equal(told(first), told(second)) {
			t.Errorf("%s: repeated as %d %q %s, then as %d %q %s", c.path, first.status, told(first), first.body, second.status, told(second), second.body)
		}
		w.asItIs(token, c.path, first)
	}
	// The control.
	const path, body = "/api/v1/api-keys", `{"name":"twice","scopes":["read"]}`
	w.die(token, path, body, "idempotent.committed", "1")
	w.s.Store = masterdata.New(w.db, func() time.Time { return time.Now().Add(time.Hour) })
	w.call(token, "POST", path, body, "Idempotency-Key", theKey+"-1").want(t, 201)
	if n := strings.TrimSpace(w.dump("SELECT count(*) FROM api_keys WHERE name = 'twice'")); n != "2" {
		t.Errorf("the control: %s keys, so the test proves nothing", n)
	}
}

// told is what an answer's headers say of the thing.
func told(a answer) []string {
	return []string{a.header.Get("ETag"), a.header.Get("Location"), a.header.Get("Content-Type")}
}

// asItIs holds an answer against the thing itself.
func (w *world) asItIs(token, path string, a answer) {
	w.t.Helper()
	if a.status == http.StatusNoContent {
		return
	}
	made := a.json(w.t)
	one := strings.TrimSuffix(strings.TrimSuffix(path, "/start"), "/acknowledge")
	if a.status == http.StatusCreated {
		if one = a.header.Get("Location"); one != path+"/"+made["id"].(string) {
			w.t.Errorf("%s: made %v at %q", path, made["id"], one)
		}
	}
	got := w.call(token, "GET", one, nil).want(w.t, 200)
	if is := got.json(w.t); is["id"] != made["id"] || is["version"] != made["version"] || a.header.Get("ETag") != got.header.Get("ETag") {
		w.t.Errorf("%s: answered %s with %s, there is %s", path, a.header.Get("ETag"), a.body, got.body)
	}
	if key, ok := made["key"].(string); ok && strings.HasPrefix(key, "ff_") { // the secret, which only the answer has
		w.sync()
		w.call(key, "GET", opsPath+"lines", nil).want(w.t, 200)
	}
}

// die sends a request in a process that kills itself at a point. Beside has it store
// the answer in a transaction of its own, under a key that ends with it.
func (w *world) die(token, path, body, point, beside string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), os.Args[0], "-test.run=^TestKilledBetweenCommitAndAnswer$")
	cmd.Env = append(os.Environ(), childPostgres+"="+w.cfg.URL, childToken+"="+token, childPath+"="+path, childBody+"="+body, childBeside+"="+beside, fault.Variable+"="+point+":kill")
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
		w.t.Fatalf("%s: nobody was killed at %s: %v\n%s", path, point, err, out)
	}
}

// dieOnRequest is the other process: an API on what the first one's database holds.
func dieOnRequest(t *testing.T) {
	cfg := postgres.DefaultConfig()
	cfg.URL = os.Getenv(childPostgres)
	w := emptyWorld(t, cfg)
	w.open(func(*masterdata.Store) {})
	key := theKey
	if n := os.Getenv(childBeside); n != "" {
		key += "-" + n
		for _, p := range w.s.OpenAPI().Paths {
			if p.Post != nil {
				p.Post.Metadata = nil
			}
		}
	}
	must(t, fault.ArmFromEnvironment())
	var body any
	if text := os.Getenv(childBody); text != "" {
		body = text
	}
	a := w.call(os.Getenv(childToken), "POST", os.Getenv(childPath), body, "Idempotency-Key", key)
	t.Fatalf("lives on, with %d %s", a.status, a.body)
}

// TestChangesCommitWithTheirKeys: each POST that changes master data commits its
// Idempotency-Key with it, but for the ones that are named here, which say why.
func TestChangesCommitWithTheirKeys(t *testing.T) {
	w := newWorld(t)
	beside := map[string]string{
		"record-reading": "Kafka", "record-readings": "Kafka", "set-line-status": "Kafka",
		"create-tenant": "several transactions, which go on where they were", "export-tenant": "a job", "suspend-tenant": "the installation's", "resume-tenant": "the installation's",
	}
	n := 0
	for _, r := range w.routes() {
		if r.method != http.MethodPost || r.roles == nil {
			continue
		}
		n++
		_, named := beside[r.op.OperationID]
		if atomic := r.op.Metadata[together] == true; atomic == named {
			t.Errorf("%s: together %v, named %v", r.op.OperationID, atomic, named)
		}
		delete(beside, r.op.OperationID)
	}
	if n < 20 || len(beside) > 0 {
		t.Errorf("%d routes; not there: %v", n, beside)
	}
}
