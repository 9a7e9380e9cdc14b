package postgres

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// replica is a read-only copy, and what is known of how far it is behind. The
// clock of the copy is not asked: an idle primary would make it look late, and
// a copy that lost its primary punctual. In place of it the primary's position
// in its log is noted with the time, and the copy is as fresh as the newest
// position that it has replayed.
type replica struct {
	pool    *pgxpool.Pool
	primary *pgxpool.Pool
	maxLag  time.Duration
	now     func() time.Time
	cancel  context.CancelFunc
	done    chan struct{} // closed when the watch has ended

	mu    sync.Mutex // guards what follows
	marks []mark     // positions not yet replayed, oldest first
	fresh time.Time  // the copy holds everything up to here

	reads *prometheus.CounterVec
	waits prometheus.Histogram
}

// mark is where the primary's log was at a time.
type mark struct {
	at  time.Time
	lsn uint64
}

// maxMarks bounds what is remembered of a copy that falls behind.
const maxMarks = 1024

func newReplica(ctx context.Context, pool, primary *pgxpool.Pool, maxLag time.Duration) *replica {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &replica{
		pool: pool, primary: primary, maxLag: maxLag, now: time.Now, cancel: cancel, done: make(chan struct{}),
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "foodflow_postgres_reads_total", Help: "Reads that a replica may answer, by who did."}, []string{"server"}),
		waits: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "foodflow_postgres_replica_wait_seconds", Help: "Time that changes waited for the replica, so that it isn't read without them.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 13)}),
	}
	for _, s := range []string{"replica", "primary"} {
		r.reads.WithLabelValues(s)
	}
	go r.watch(own)
	return r
}

func (r *replica) close() {
	r.cancel()
	<-r.done
	r.pool.Close()
}

// watch compares the two positions several times within the lag that is allowed.
func (r *replica) watch(ctx context.Context) {
	defer close(r.done)
	every := max(r.maxLag/5, 50*time.Millisecond)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		// An error leaves the copy as fresh as it was known to be: it grows old.
		_ = r.look(ctx)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (r *replica) look(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, r.maxLag)
	defer cancel()
	at := r.now() // before the question: what is committed by now lies before the answer
	lsn, err := position(ctx, r.primary, insertedTo)
	if err != nil {
		return err
	}
	lsn = recordEnd(lsn)
	r.mu.Lock()
	if len(r.marks) < maxMarks {
		r.marks = append(r.marks, mark{at, lsn})
	}
	r.mu.Unlock()
	// A copy that was promoted is none any more.
	replayed, err := position(ctx, r.pool, replayedTo)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.marks) > 0 && r.marks[0].lsn <= replayed {
		r.fresh, r.marks = r.marks[0].at, r.marks[1:]
	}
	return nil
}

// recordEnd is the end of the last record before a position at which the next
// one would begin: behind a page's header that is the page's start. Where the
// log is inserted to is asked for, not where it is written to, because with
// synchronous_commit off a commit is confirmed before it is written.
func recordEnd(lsn uint64) uint64 {
	const page, header = 8192, 40
	if lsn%page <= header {
		return lsn - lsn%page
	}
	return lsn
}

// lag is how old what the copy holds may be.
func (r *replica) lag() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now().Sub(r.fresh)
}

// What the primary has in its log, and what the copy has of it.
const (
	insertedTo = "SELECT pg_current_wal_insert_lsn()::text"
	replayedTo = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text END"
)

func position(ctx context.Context, pool *pgxpool.Pool, query string) (uint64, error) {
	var text *string
	if err := pool.QueryRow(ctx, query).Scan(&text); err != nil {
		return 0, fmt.Errorf("reading the position of the log: %w", err)
	}
	if text == nil {
		return 0, errors.New("reading the position of the log: the server is no replica")
	}
	high, low, _ := strings.Cut(*text, "/")
	h, err := strconv.ParseUint(high, 16, 32)
	l, err2 := strconv.ParseUint(low, 16, 32)
	if err = errors.Join(err, err2); err != nil {
		return 0, fmt.Errorf("reading the position of the log: %w", err)
	}
	return h<<32 | l, nil
}

type replicaKey struct{}

// AllowReplica marks what is read under the context as fit to be a little old.
func AllowReplica(ctx context.Context) context.Context {
	return context.WithValue(ctx, replicaKey{}, true)
}

// ReplicaAllowed says whether AllowReplica marked the context.
func ReplicaAllowed(ctx context.Context) bool { return ctx.Value(replicaKey{}) != nil }

// MaxLag is how much older than the primary a read of the replica may be; 0:
// there is no replica.
func (db *DB) MaxLag() time.Duration {
	if db.replica == nil {
		return 0
	}
	return db.replica.maxLag
}

// ReadTenant is InTenant for reading, on the replica where there is one that is
// fresh enough and can be reached, else on the primary. fn may be called again,
// on the primary, when the replica fails in the middle.
func (db *DB) ReadTenant(ctx context.Context, tenant plant.ID, fn func(ctx context.Context, tx pgx.Tx) error) error {
	if tenant.IsZero() {
		return errors.New("opening tenant transaction: no tenant")
	}
	r := db.replica
	if r == nil {
		return db.in(ctx, enter(tenant), fn)
	}
	if r.lag() <= r.maxLag {
		err := db.inPool(ctx, r.pool, enter(tenant), fn)
		if !replicaFailed(err) || ctx.Err() != nil {
			r.reads.WithLabelValues("replica").Inc()
			return err
		}
	}
	r.reads.WithLabelValues("primary").Inc()
	return db.in(ctx, enter(tenant), fn)
}

// replicaFailed tells what is the replica's fault: it is not there, it doesn't
// hold the schema yet, or what it replays got in the way (40001, 40P01).
func replicaFailed(err error) bool {
	if err == nil {
		return false
	}
	code, _ := Code(err)
	switch code {
	case "40001", "40P01", CodeNoSchema, CodeNoTable, CodeNoRole:
		return true
	}
	return fault.KindOf(err) == fault.Unavailable || Unavailable(err)
}

// Register shows the pool's figures about the replica, if there is one.
func (db *DB) Register(reg prometheus.Registerer) {
	if db.replica == nil || reg == nil {
		return
	}
	reg.MustRegister(db.replica.reads, db.replica.waits, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "foodflow_postgres_replica_lag_seconds", Help: "How much older than the primary a read of the replica may be now.",
	}, func() float64 { return db.replica.lag().Seconds() }))
}
