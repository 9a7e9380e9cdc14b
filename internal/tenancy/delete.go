package tenancy

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/job"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
)

// KindDelete deletes a tenant.
const KindDelete = "tenant-delete"

// Schemas makes and removes tenants' schemas and roles; migrate.Migrator is one.
type Schemas interface {
	masterdata.Provisioner
	Drop(ctx context.Context, id plant.ID) error
	Left(ctx context.Context, id plant.ID) (schema, role bool, err error)
}

// Log is Kafka as a whole; broker.Log is one.
type Log interface {
	Ends(ctx context.Context, topics ...string) (broker.Reach, error)
	Behind(ctx context.Context, group string, ends broker.Reach) (int64, error)
	Each(ctx context.Context, topic string, fn func(partition int32, key, value []byte) error) error
	Keeping(ctx context.Context, topics ...string) ([]broker.Keeping, error)
}

// Reader is a consumer group that must have taken in what was accepted, and
// its topics.
type Reader struct {
	Group  string
	Topics []string
}

// Eraser deletes tenants.
type Eraser struct {
	Store   *masterdata.Store
	Schemas Schemas
	Rows    Rows
	Log     Log
	Signer  Signer
	// Readers are waited for one after the other, since each feeds the next.
	Readers []Reader
	// Archives is where exports lie.
	Archives string
	// StateHead is how many bytes of each record of processors' state are not part
	// of the state.
	StateHead int
	// Settle is how long after the tenant was closed the last accepted reading is
	// on Kafka for sure: the time in which every ingest knows of a suspension, and
	// then some.
	Settle time.Duration
	// Patience is how long one attempt waits for processors or the relay.
	Patience time.Duration
	Now      func() time.Time
}

// progress is the checkpoint: the report so far, and what a step waits for.
type progress struct {
	Report Report
	Closed time.Time
	Ends   broker.Reach
	// LastEvent numbers the last event of the tenant, whose store goes before the
	// deletion is announced.
	LastEvent int64
}

// DeleteKind is the work of KindDelete.
func DeleteKind(x *Eraser) job.Kind {
	step := func(name string, weight float64, do func(*erasure) error) job.Step {
		return job.Step{Name: name, Weight: weight, Do: func(ctx context.Context, r *job.Run) error {
			e := &erasure{Eraser: x, ctx: ctx, run: r, id: *r.Job.TenantID}
			if err := r.Checkpoint(&e.progress); err != nil {
				return err
			}
			if err := do(e); err != nil {
				return err
			}
			return r.Note(ctx, e.progress)
		}}
	}
	// It is never given up: half a deletion is none.
	return job.Kind{Name: KindDelete, Attempts: math.MaxInt32, Steps: []job.Step{
		step("close", 1, (*erasure).close),
		step("drain", 2, (*erasure).drain),
		step("state", 2, (*erasure).state),
		step("directory", 1, (*erasure).directory),
		step("clickhouse", 4, (*erasure).clickhouse),
		step("postgres", 2, (*erasure).postgres),
		step("report", 1, (*erasure).report),
	}}
}

// Confirm holds the two steps before a deletion: the tenant is suspended, and
// who wants it deleted names it.
func Confirm(t *masterdata.Tenant, name string) error {
	if t.State != masterdata.TenantSuspended && t.State != masterdata.TenantDeleting {
		return fault.New(fault.Conflict, "the tenant is %s, it would have to be %s", t.State, masterdata.TenantSuspended)
	}
	if name != t.Name {
		return fault.NewInvalid(fault.Item{Location: "confirm", Rule: "confirm", Message: "must be the name of the tenant"})
	}
	return nil
}

// erasure is one deletion in the hands of its worker.
type erasure struct {
	*Eraser
	progress
	ctx context.Context //nolint:containedctx // lives as long as one step
	run *job.Run
	id  plant.ID
}

// close shuts the tenant for good and counts what there is.
func (e *erasure) close() error {
	// Counted first: processors let go of it as soon as they know.
	named, err := e.stateRecords()
	if err != nil {
		return err
	}
	t, err := e.Store.BeginDeletion(e.ctx, e.id)
	if err != nil {
		return err
	}
	p := &e.Report
	*p = Report{
		Format: reportFormat, TenantID: t.ID, TenantKey: t.Key, TenantName: t.Name,
		JobID: e.run.Job.ID, RequestedBy: e.run.Job.Actor, RequestedAt: e.run.Job.CreatedAt,
		Postgres:   PostgresReport{Schema: postgres.Schema(e.id), Role: postgres.Role(e.id)},
		ClickHouse: ClickHouseReport{Database: e.Rows.Database()},
		Kafka:      KafkaReport{State: Removed{Before: named}},
	}
	counts, err := e.Store.Count(e.ctx, e.id)
	if err != nil {
		return err
	}
	p.Postgres.Tables = before(counts)
	if counts, err = e.Store.CountShared(e.ctx, e.id); err != nil {
		return err
	}
	p.Postgres.Shared = before(counts)
	e.Closed = e.Now()
	return nil
}

func before(counts map[string]int64) map[string]Removed {
	out := make(map[string]Removed, len(counts))
	for k, n := range counts {
		out[k] = Removed{Before: n}
	}
	return out
}

// drain waits until what was accepted before has reached the stores, so that
// nothing comes in behind the deletion.
func (e *erasure) drain() error {
	if err := e.until("what was accepted is on its way to Kafka", func() (bool, error) { return e.Now().Sub(e.Closed) >= e.Settle, nil }); err != nil {
		return err
	}
	for _, r := range e.Readers {
		ends, err := e.Log.Ends(e.ctx, r.Topics...)
		if err != nil {
			return err
		}
		if err := e.until("group "+r.Group+" has not yet processed what was accepted", func() (bool, error) {
			n, err := e.Log.Behind(e.ctx, r.Group, ends)
			e.run.Count("behind", n)
			return n == 0, err
		}); err != nil {
			return err
		}
	}
	return nil
}

// state waits until no processor's state names the tenant: they let go of it
// when the directory says that it is being deleted.
func (e *erasure) state() error {
	return e.until("processors still hold state of the tenant", func() (bool, error) {
		n, err := e.stateRecords()
		e.run.Count("state_records", n)
		return n == 0, err
	})
}

// directory takes the tenant's entries out of the directory.
func (e *erasure) directory() (err error) {
	d := &e.Report.Kafka
	if d.Directory.Before, err = e.entries(); err != nil {
		return err
	}
	if d.Tombstones, err = e.Store.Retract(e.ctx, e.id); err != nil {
		return err
	}
	e.run.Count("tombstones", d.Tombstones)
	return e.until("the relay has not carried the tombstones yet", func() (bool, error) {
		n, err := e.Store.Queued(e.ctx, e.id)
		return n == 0, err
	})
}

// clickhouse deletes the rows, table by table.
func (e *erasure) clickhouse() error {
	tables, err := e.Rows.Tables(e.ctx)
	if err != nil {
		return err
	}
	c := &e.Report.ClickHouse
	if c.Tables == nil {
		c.Tables = map[string]Removed{}
	}
	rows := int64(0)
	for i, table := range tables {
		if _, noted := c.Tables[table]; !noted {
			n, err := e.Rows.Count(e.ctx, table, e.id)
			if err != nil {
				return err
			}
			// Noted before it is done: after a crash in between, what there was would
			// be forgotten.
			c.Tables[table] = Removed{Before: n}
			if err := e.run.Note(e.ctx, e.progress); err != nil {
				return err
			}
		}
		if err := e.Rows.Delete(e.ctx, table, e.id); err != nil {
			return err
		}
		if err := fault.Point("delete.clickhouse"); err != nil {
			return err
		}
		rows += c.Tables[table].Before
		e.run.Count("rows", rows)
		e.run.Show(e.ctx, float64(i+1)/float64(len(tables)))
	}
	return nil
}

// postgres removes schema, role and shared rows, and the archives of exports.
func (e *erasure) postgres() error {
	switch last, err := e.Store.LastEvent(e.ctx, e.id); {
	case err == nil:
		e.LastEvent = last
		if err := e.run.Note(e.ctx, e.progress); err != nil {
			return err
		}
	case fault.KindOf(err) != fault.NotFound: // else an earlier attempt has noted it and dropped the schema
		return err
	}
	if err := e.Schemas.Drop(e.ctx, e.id); err != nil {
		return err
	}
	if err := fault.Point("delete.postgres"); err != nil {
		return err
	}
	if err := e.Store.Erase(e.ctx, e.id, e.run.Job.ID); err != nil {
		return err
	}
	folder := Folder(e.Archives, e.id)
	found, err := filepath.Glob(filepath.Join(folder, "*.tar"))
	if err != nil {
		return fmt.Errorf("looking for exports: %w", err)
	}
	e.Report.Archives = max(e.Report.Archives, len(found))
	if err := os.RemoveAll(folder); err != nil {
		return fmt.Errorf("removing exports: %w", err)
	}
	return nil
}

// report counts everything once more, files what came of it and announces it.
func (e *erasure) report() error {
	d, err := e.Store.Deletion(e.ctx, e.id.String())
	if fault.KindOf(err) == fault.NotFound {
		d, err = e.file()
	}
	if err == nil {
		err = fault.Point("delete.filed")
	}
	if err != nil {
		return err
	}
	e.run.Result(map[string]any{"report": d.Number, "sha256": hex.EncodeToString(d.Hash)})
	return nil
}

func (e *erasure) file() (*masterdata.Deletion, error) {
	if err := e.recount(); err != nil {
		return nil, err
	}
	p := &e.Report
	if left := p.Complete(); len(left) > 0 {
		return nil, fmt.Errorf("deleting tenant %s: %s", e.id, strings.Join(left, "; "))
	}
	p.EndedAt = e.Now().UTC().Truncate(time.Millisecond)
	if err := e.ageing(); err != nil {
		return nil, err
	}
	p.Beyond = []string{
		"backups of the three stores, until they are replaced",
		"exports that were handed out",
		"what other consumers have taken from Kafka",
		"the announcement of this deletion, TenantDeleted, which ages out of its topic like the events before it",
		"ClickHouse's former data parts, which no query reads and which it removes from the disk some minutes later",
	}
	return e.Store.FileDeletion(e.ctx, e.id, p.TenantKey, e.LastEvent, func(number int64, previous []byte) (*masterdata.Deletion, error) {
		p.Number, p.Previous = number, hex.EncodeToString(previous)
		return e.Signer.seal(*p)
	})
}

// errWaiting is why a wait ended unfulfilled.
var errWaiting = errors.New("waited long enough for this attempt")

// look is how often a wait looks.
const look = 250 * time.Millisecond

// until waits for a condition as long as one attempt may. what says what is the
// case while it isn't met.
func (e *erasure) until(what string, met func() (bool, error)) error {
	deadline := time.NewTimer(e.Patience)
	defer deadline.Stop()
	tick := time.NewTicker(look)
	defer tick.Stop()
	for {
		ok, err := met()
		if err != nil || ok {
			return err
		}
		e.run.Show(e.ctx, 0)
		select {
		case <-e.ctx.Done():
			return e.ctx.Err()
		case <-deadline.C:
			return fault.NewUnavailable(e.Patience, errWaiting, "%s", what)
		case <-tick.C:
		}
	}
}
