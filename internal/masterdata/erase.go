package masterdata

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// BeginDeletion marks a suspended tenant as being deleted, for good. Called
// again it changes nothing.
func (s *Store) BeginDeletion(ctx context.Context, id plant.ID) (*Tenant, error) {
	t, err := s.Tenant(ctx, id.String())
	if err != nil || t.State == TenantDeleting {
		return t, err
	}
	return s.changeTenant(ctx, id.String(), "TenantDeleting", func(_ context.Context, _ *writing, t *Tenant) error {
		t.State = TenantDeleting
		return nil
	}, TenantSuspended)
}

// listed names the tables whose rows the directory knows, by kind.
func listed() map[string]string {
	return map[string]string{
		directory.KindLine: "lines", directory.KindSensor: "sensors", directory.KindProduct: "products",
		directory.KindCalendar: "calendars", directory.KindStopReason: "stop_reasons", directory.KindAPIKey: "api_keys",
	}
}

// Retract queues tombstones for everything that the directory knows of a tenant
// that is being deleted, the tenant itself last, and gives how many. Called again
// it queues them again, which does no harm.
func (s *Store) Retract(ctx context.Context, id plant.ID) (n int64, err error) {
	err = s.write(ctx, System(id), func(ctx context.Context, w *writing) error {
		n = 1
		for kind, table := range listed() {
			tag, err := w.tx.Exec(ctx, `INSERT INTO foodflow.outbox (tenant_id, kind, subject_kind, subject_id, version)
				SELECT $1, 'tombstone', $2, id, version + 1 FROM `+table, id, kind)
			if err != nil {
				return fmt.Errorf("queueing tombstones of %s: %w", table, err)
			}
			n += tag.RowsAffected()
		}
		tag, err := w.tx.Exec(ctx, `INSERT INTO foodflow.outbox (tenant_id, kind, subject_kind, subject_id, version)
			SELECT tenant_id, 'tombstone', $2, id, 0 FROM foodflow.revocations WHERE tenant_id = $1`, id, directory.KindRevocation)
		if err != nil {
			return fmt.Errorf("queueing tombstones of revocations: %w", err)
		}
		n += tag.RowsAffected()
		if err := w.retract(ctx, directory.KindTenant, id, 1<<62); err != nil {
			return err
		}
		return w.wake(ctx)
	})
	return n, err
}

// Queued gives how many rows of a tenant wait in the outbox.
func (s *Store) Queued(ctx context.Context, id plant.ID) (n int64, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT count(*) FROM outbox WHERE tenant_id = $1", id).Scan(&n); err != nil {
			return fmt.Errorf("counting outbox rows: %w", err)
		}
		return nil
	})
	return n, err
}

// Erase removes a tenant's rows of the installation's schema. Of its jobs the
// one that deletes it stays.
func (s *Store) Erase(ctx context.Context, id, job plant.ID) error {
	return s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		for _, q := range []string{
			"DELETE FROM outbox WHERE tenant_id = $1", "DELETE FROM outbox_refused WHERE tenant_id = $1", "DELETE FROM revocations WHERE tenant_id = $1",
			"DELETE FROM logins WHERE tenant_id = $1",
			"DELETE FROM token_families WHERE tenant_id = $1", "DELETE FROM tenants WHERE id = $1",
		} {
			if _, err := tx.Exec(ctx, q, id); err != nil {
				return fmt.Errorf("erasing tenant: %w", err)
			}
		}
		if _, err := tx.Exec(ctx, "DELETE FROM jobs WHERE tenant_id = $1 AND id <> $2", id, job); err != nil {
			return fmt.Errorf("erasing the tenant's jobs: %w", err)
		}
		return nil
	})
}

// Deletion is the report of a tenant's deletion. Text is what hash and signature
// cover.
type Deletion struct {
	Number    int64
	Tenant    plant.ID
	TenantKey string
	Text      string
	Hash      []byte
	Signature []byte
	PublicKey []byte
}

// LastEvent gives the number of the last event of the tenant itself, which the
// event of its deletion follows. NotFound: its event store is gone.
func (s *Store) LastEvent(ctx context.Context, tenant plant.ID) (seq int64, err error) {
	err = s.db.InTenant(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, "SELECT coalesce(max(seq), 0) FROM events WHERE aggregate_id = $1", tenant).Scan(&seq); err != nil {
			return fmt.Errorf("looking for the tenant's last event: %w", err)
		}
		return nil
	})
	return seq, goneTenant(err)
}

// FileDeletion stores a report as the next of the chain, and announces the
// deletion in the same transaction: TenantDeleted, after the tenant's event lastEvent.
// The tenant's event store is gone by then, so it stands on Kafka alone. seal
// makes the report, knowing its number and the hash of the one before. The report
// of a tenant that has one stands, and nothing is announced again.
func (s *Store) FileDeletion(ctx context.Context, tenant plant.ID, key string, lastEvent int64, seal func(number int64, previous []byte) (*Deletion, error)) (d *Deletion, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock(hashtextextended('foodflow/deletions', 7))"); err != nil {
			return fmt.Errorf("locking reports: %w", err)
		}
		if d, err = scanDeletion(tx.QueryRow(ctx, "SELECT "+deletionColumns+" FROM deletions WHERE tenant_id = $1", tenant)); fault.KindOf(err) != fault.NotFound {
			return err
		}
		var last int64
		var previous []byte
		if err := tx.QueryRow(ctx, "SELECT number, hash FROM deletions ORDER BY number DESC LIMIT 1").Scan(&last, &previous); err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("reading the last report: %w", err)
		}
		if d, err = seal(last+1, previous); err != nil {
			return err
		}
		d.Number, d.Tenant, d.TenantKey = last+1, tenant, key
		if _, err := tx.Exec(ctx, "INSERT INTO deletions ("+deletionColumns+") VALUES ($1, $2, $3, $4, $5, $6, $7)",
			d.Number, d.Tenant, d.TenantKey, d.Text, d.Hash, d.Signature, d.PublicKey); err != nil {
			return fmt.Errorf("storing report: %w", err)
		}
		data, err := json.Marshal(map[string]any{"id": tenant, "key": key, "state": "deleted", "report": d.Number, "report_sha256": hex.EncodeToString(d.Hash)})
		if err != nil {
			return fmt.Errorf("encoding TenantDeleted: %w", err)
		}
		w := &writing{tx: tx, who: System(tenant), now: s.stamp()}
		return w.queue(ctx, []entry{{
			change: change{directory.KindTenant, tenant, "TenantDeleted", nil},
			event:  plant.NameID(tenant, "TenantDeleted"), at: w.now, data: data, seq: lastEvent + 1,
		}})
	})
	return d, err
}

const deletionColumns = "number, tenant_id, tenant_key, report, hash, signature, public_key"

func scanDeletion(row pgx.Row) (*Deletion, error) {
	d := new(Deletion)
	err := row.Scan(&d.Number, &d.Tenant, &d.TenantKey, &d.Text, &d.Hash, &d.Signature, &d.PublicKey)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fault.New(fault.NotFound, "there is no report of such a deletion")
	}
	if err != nil {
		return nil, fmt.Errorf("reading report: %w", err)
	}
	return d, nil
}

// Deletion reads the report of a tenant that was deleted, by id, or by key: then
// the last tenant that had it.
func (s *Store) Deletion(ctx context.Context, idOrKey string) (d *Deletion, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		d, err = scanDeletion(tx.QueryRow(ctx, "SELECT "+deletionColumns+" FROM deletions WHERE tenant_id::text = $1 OR tenant_key = $1 ORDER BY number DESC LIMIT 1", strings.ToLower(idOrKey)))
		return err
	})
	return d, err
}

// Deletions reads all reports, the first first.
func (s *Store) Deletions(ctx context.Context) (list []*Deletion, err error) {
	err = s.db.InShared(ctx, func(ctx context.Context, tx pgx.Tx) error {
		rows, err := tx.Query(ctx, "SELECT "+deletionColumns+" FROM deletions ORDER BY number")
		if err != nil {
			return fmt.Errorf("reading reports: %w", err)
		}
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Deletion, error) { return scanDeletion(row) })
		return err
	})
	return list, err
}
