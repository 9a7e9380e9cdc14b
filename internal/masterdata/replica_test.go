package masterdata

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

// copied is a store on a primary with a replica, and a way to hold that up.
type copied struct {
	*Store
	t      *testing.T
	tenant plant.ID
	super  *pgx.Conn // on the replica
}

func newCopied(t *testing.T) *copied {
	t.Helper()
	f := newFixture(t)
	tenant := f.tenant("acme").Tenant
	cfg := postgres.DefaultConfig()
	cfg.URL = f.db.Pool().Config().ConnString()
	replica := testkit.PostgresReplica(t, cfg.URL)
	cfg.Replica, cfg.ReplicaLag = replica, 500*time.Millisecond
	db, err := postgres.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	db.Register(prometheus.NewRegistry())
	super, err := pgx.Connect(t.Context(), replica)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = super.Close(context.WithoutCancel(t.Context())) })
	return &copied{Store: New(db, time.Now), t: t, tenant: tenant, super: super}
}

// replay lets the replica go on, or holds it up.
func (c *copied) replay(on bool) {
	c.t.Helper()
	f := "pg_wal_replay_pause"
	if on {
		f = "pg_wal_replay_resume"
	}
	if _, err := c.super.Exec(c.t.Context(), "SELECT "+f+"()"); err != nil {
		c.t.Fatal(err)
	}
}

// server tells who answers a read that may be old.
func (c *copied) server() string {
	c.t.Helper()
	copy := false
	err := c.read(postgres.AllowReplica(c.t.Context()), c.tenant, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&copy)
	})
	if err != nil {
		c.t.Fatal(err)
	}
	if copy {
		return "replica"
	}
	return "primary"
}

func (c *copied) until(server string) {
	c.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); c.server() != server; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("the %s never answers", server)
		}
	}
}

// TestReplica: a replica answers reads that may be a little old while it is
// fresh; one that falls behind or is gone does not; a tenant sees what it has
// written at once.
func TestReplica(t *testing.T) {
	c := newCopied(t)
	c.until("replica")
	var own bool
	if err := c.read(t.Context(), c.tenant, func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&own)
	}); err != nil || own {
		t.Errorf("a read that was not marked is the replica's: %v, %v", own, err)
	}

	c.replay(false)
	r := StopReason{StopReasonFields: StopReasonFields{Key: "stop", Name: "first"}}
	if err := c.StopReasons().Create(t.Context(), System(c.tenant), &r); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(3 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if _, err := c.StopReasons().Get(postgres.AllowReplica(t.Context()), c.tenant, "stop"); err != nil {
			t.Fatalf("what was written is not read, while the replica stands still: %v", err)
		}
	}
	if c.server() != "primary" {
		t.Error("a replica that stands still answers")
	}
	// The control: asked itself, it doesn't know.
	var n int
	if err := c.super.QueryRow(t.Context(), "SELECT count(*) FROM "+postgres.Schema(c.tenant)+".stop_reasons").Scan(&n); err != nil || n != 0 {
		t.Fatalf("the replica has %d rows, %v: it was not held up", n, err)
	}
	c.replay(true)
	c.until("replica")
	if _, err := c.StopReasons().Get(postgres.AllowReplica(t.Context()), c.tenant, "stop"); err != nil {
		t.Error(err)
	}

	// Gone in the middle of it: the primary answers, without an error.
	if _, err := c.super.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		c.server()
	}
}

// TestWhatIsWrittenIsReadElsewhere: who has the answer to a change finds it at
// any other process, whether the replica keeps up or stands still. Control: a
// change that isn't followed is missed there.
func TestWhatIsWrittenIsReadElsewhere(t *testing.T) {
	c := newCopied(t)
	process := func() *Store {
		cfg := postgres.DefaultConfig()
		cfg.URL, cfg.Replica, cfg.ReplicaLag = c.db.Pool().Config().ConnString(), c.super.Config().ConnString(), c.db.MaxLag()
		// As servers are by default; the tests' own confirm before they write.
		at, query, _ := strings.Cut(cfg.URL, "?")
		cfg.URL = at + "?" + query + "&options=-c%20synchronous_commit%3Don"
		db, err := postgres.Open(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(db.Close)
		return New(db, time.Now)
	}
	here, elsewhere := process(), &copied{Store: process(), t: t, tenant: c.tenant, super: c.super}
	n := 0
	// written makes a change here and says whether it is found elsewhere at once.
	written := func(ctx context.Context) bool {
		t.Helper()
		n++
		r := StopReason{StopReasonFields: StopReasonFields{Key: fmt.Sprint("stop-", n), Name: "stop"}}
		if err := here.StopReasons().Create(ctx, System(c.tenant), &r); err != nil {
			t.Fatal(err)
		}
		_, err := elsewhere.StopReasons().Get(postgres.AllowReplica(t.Context()), c.tenant, r.Key)
		if err != nil && fault.KindOf(err) != fault.NotFound {
			t.Fatal(err)
		}
		return err == nil
	}
	followed := postgres.Followed(t.Context())
	elsewhere.until("replica")
	byReplica, took := 0, time.Duration(0)
	rounds := 0
	for limit := time.Now().Add(2 * time.Minute); rounds < 50 || byReplica == 0 && time.Now().Before(limit); rounds++ {
		began := time.Now()
		if !written(followed) {
			t.Error("what was written is missed, while the replica keeps up")
		}
		took += time.Since(began)
		if elsewhere.server() == "replica" {
			byReplica++
		}
	}
	t.Logf("with a replica that keeps up a change and its reading take %v", (took / time.Duration(rounds)).Round(100*time.Microsecond))
	if byReplica == 0 {
		t.Error("the replica answered nothing, so that it proves nothing")
	}
	for deadline, missed := time.Now().Add(5*time.Minute), false; !missed; {
		elsewhere.until("replica")
		c.replay(false)
		missed = !written(t.Context())
		c.replay(true)
		if time.Now().After(deadline) {
			t.Fatal("a change that is not followed is never missed: the test sees nothing")
		}
	}
	for range 3 {
		elsewhere.until("replica")
		c.replay(false)
		began := time.Now()
		if !written(followed) {
			t.Error("what was written is missed, while the replica stands still")
		}
		t.Logf("with a replica that stands still a change takes %v", time.Since(began).Round(time.Millisecond))
		c.replay(true)
	}
}
