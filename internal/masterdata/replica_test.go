package masterdata

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

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
	for deadline := time.Now().Add(60 * time.Second); c.server() != server; time.Sleep(20 * time.Millisecond) {
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
