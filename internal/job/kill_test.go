package job_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
	"github.com/foodflow/foodflow/internal/testkit"
)

// The work of the kill tests: each of three steps adds ten to a sum, one by one,
// with a checkpoint beside each.
const each = 10

var killSteps = []string{"one", "two", "three"}

// killKinds are the same work done rightly, by naming what is added, and
// wrongly, by adding blindly: the negative control.
func killKinds(db *postgres.DB) []job.Kind {
	kind := func(name, statement string) job.Kind {
		k := job.Kind{Name: name}
		for _, step := range killSteps {
			k.Steps = append(k.Steps, job.Step{Name: step, Do: func(ctx context.Context, r *job.Run) error {
				for i := range each {
					if err := db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
						_, err := tx.Exec(ctx, statement, fmt.Sprint(step, i))
						return err
					}); err != nil {
						return err
					}
					if err := fault.Point("test.middle." + step); err != nil {
						return err
					}
				}
				return nil
			}})
		}
		return k
	}
	return []job.Kind{
		kind("named", "INSERT INTO effects (name) VALUES ($1) ON CONFLICT DO NOTHING"),
		kind("blind", "INSERT INTO effects (name) VALUES ($1 || random()::text)"),
	}
}

// workUntilDone is the life of the child.
func workUntilDone(ctx context.Context, url, _ string, id plant.ID) error {
	cfg := postgres.DefaultConfig()
	cfg.URL, cfg.Direct = url, os.Getenv(childDirect)
	db, err := postgres.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	s, err := job.New(inherited(), db, killKinds(db), nil, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		return err
	}
	if err := s.Start(ctx); err != nil {
		return err
	}
	for {
		j, err := s.Get(ctx, id)
		if err != nil {
			return err
		}
		if !j.Open() {
			return s.Stop(ctx)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the job is %+v: %w", j, ctx.Err())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// TestKilledAtEachPhase (kill -9 at each point of each step): the next process
// goes on, and the effect is that of one run.
func TestKilledAtEachPhase(t *testing.T) {
	url, db := database(t)
	s, err := job.New(job.Config{Poll: time.Second, Lease: time.Second, Sweep: time.Second, Keep: 48 * time.Hour, MaxAttempts: 1}, db, nil, nil, slog.New(slog.DiscardHandler))
	must(t, err)
	for _, c := range []struct {
		kind, point string
		exact       bool
	}{
		{"named", "job.named.one:kill@1", true},
		{"named", "test.middle.one:kill@4", true},
		{"named", "job.named.one.done:kill@1", true},
		{"named", "job.named.two:kill@1", true},
		{"named", "test.middle.two:kill@10", true},
		{"named", "job.named.two.done:kill@1", true},
		{"named", "test.middle.three:kill@1", true},
		{"named", "job.named.three.done:kill@1", true},
		// The control: the harness sees a step that adds again.
		{"blind", "test.middle.two:kill@4", false},
	} {
		t.Run(c.point, func(t *testing.T) { killedAndResumed(t, s, db, url, "", c.kind, c.point, c.exact) })
	}
}

// TestKilledThroughPgBouncer is the same behind a PgBouncer in transaction mode.
func TestKilledThroughPgBouncer(t *testing.T) {
	direct, db := database(t)
	url := testkit.PgBouncer(t, direct)
	cfg := quick()
	cfg.Workers = 0
	s, err := job.New(cfg, openThrough(t, url, direct), nil, nil, slog.New(slog.DiscardHandler))
	must(t, err)
	killedAndResumed(t, s, db, url, direct, "named", "test.middle.two:kill@4", true)
}

func killedAndResumed(t *testing.T, s *job.Service, db *postgres.DB, url, direct, kind, point string, exact bool) {
	t.Helper()
	exec1(t, db, "DROP TABLE IF EXISTS effects")
	exec1(t, db, "CREATE TABLE effects (name text PRIMARY KEY)")
	j, err := s.Ask(t.Context(), job.Request{Kind: kind, Actor: "system"})
	must(t, err)
	if out, err := run(t, url, direct, kind, j.ID, point); !killed(err) {
		t.Fatalf("the first process was not killed: %v: %s", err, out)
	}
	if j, err = s.Get(t.Context(), j.ID); err != nil || !j.Open() {
		t.Fatalf("after the kill: %+v, %v", j, err)
	}
	// River waits a quarter of a minute for a leader that died; the test
	// doesn't.
	exec1(t, db, "DELETE FROM river_leader")
	at := time.Now()
	if out, err := run(t, url, direct, kind, j.ID, ""); err != nil {
		t.Fatalf("the second process: %v: %s", err, out)
	}
	var n int
	must(t, db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		return tx.QueryRow(ctx, "SELECT count(*) FROM effects").Scan(&n)
	}))
	if want := each * len(killSteps); (n == want) != exact || n < want {
		t.Errorf("%d effects, want %d: %v", n, want, exact)
	}
	t.Logf("done %v after the second process began, %d effects", time.Since(at).Round(time.Millisecond), n)
}

func exec1(t *testing.T, db *postgres.DB, statement string) {
	t.Helper()
	must(t, db.InShared(t.Context(), func(ctx context.Context, tx pgx.Tx) error {
		_, err := tx.Exec(ctx, statement)
		return err
	}))
}

func run(t *testing.T, url, direct, kind string, id plant.ID, point string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+url, childDirect+"="+direct, childKind+"="+kind, childJob+"="+id.String(), fault.Variable+"="+point)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	return out.String(), err
}

func killed(err error) bool {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return false
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}
