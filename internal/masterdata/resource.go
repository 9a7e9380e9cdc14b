package masterdata

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/postgres"
)

// resource is how one kind of thing lies in its table and what is announced of
// it. Table and column names are constants of this package, never input.
type resource[T any] struct {
	table     string
	aggregate string // also the kind in the directory
	noun      string // begins the names of its events: LineCreated
	columns   []string
	meta      func(*T) *Meta
	// bind gives pointers to the fields behind columns, in their order; they are
	// both the values of an insert and the targets of a scan.
	bind func(*T) []any
	// check names every rule that is broken, before anything is written.
	check func(*T) *rules
	// load and save deal with what lies in other tables; nil: nothing does.
	load func(ctx context.Context, tx pgx.Tx, things []*T) error
	save func(ctx context.Context, tx pgx.Tx, thing *T) error
	// along does what goes with a change, before it is written; after is nil where the
	// thing is removed, and may be completed otherwise. nil: nothing goes with it.
	along func(ctx context.Context, w *writing, before, after *T) error
	// entry gives the directory's form; nil: not in the directory.
	entry func(tenant plant.ID, thing *T) any
}

func (r *resource[T]) selectSQL() string {
	return "SELECT id, version, created_at, updated_at, " + strings.Join(r.columns, ", ") + " FROM " + r.table
}

func (r *resource[T]) targets(thing *T) []any {
	m := r.meta(thing)
	return append([]any{&m.ID, &m.Version, &m.CreatedAt, &m.UpdatedAt}, r.bind(thing)...)
}

// create writes a new thing; its id is made here unless it has one.
func (r *resource[T]) create(ctx context.Context, w *writing, thing *T) error {
	if err := r.valid(thing); err != nil {
		return err
	}
	if err := r.insert(ctx, w, thing); err != nil {
		return err
	}
	if err := r.after(ctx, w, thing); err != nil {
		return err
	}
	return r.announce(ctx, w, thing, r.noun+"Created")
}

// insert writes the row of a new thing.
func (r *resource[T]) insert(ctx context.Context, w *writing, thing *T) error {
	m := r.meta(thing)
	if m.ID.IsZero() {
		m.ID = plant.NewID()
	}
	m.Version, m.CreatedAt, m.UpdatedAt = 1, w.now, w.now
	sql, args := r.insertion(thing)
	if _, err := w.tx.Exec(ctx, sql, args...); err != nil {
		return r.refused("creating", err)
	}
	return nil
}

func (r *resource[T]) insertion(thing *T) (sql string, args []any) {
	args = r.targets(thing)
	marks := make([]string, len(args))
	for i := range marks {
		marks[i] = fmt.Sprint("$", i+1)
	}
	return "INSERT INTO " + r.table + " (id, version, created_at, updated_at, " + strings.Join(r.columns, ", ") + ") VALUES (" + strings.Join(marks, ", ") + ")", args
}

// put writes the row of a thing that has changed, as its next version.
func (r *resource[T]) put(ctx context.Context, w *writing, thing *T) error {
	m := r.meta(thing)
	m.Version, m.UpdatedAt = m.Version+1, w.now
	sql, args := r.change(thing)
	if _, err := w.tx.Exec(ctx, sql, args...); err != nil {
		return r.refused("changing", err)
	}
	return nil
}

func (r *resource[T]) change(thing *T) (sql string, args []any) {
	m := r.meta(thing)
	sets := []string{"version = $2", "updated_at = $3"}
	for i, c := range r.columns {
		sets = append(sets, fmt.Sprintf("%s = $%d", c, i+4))
	}
	return "UPDATE " + r.table + " SET " + strings.Join(sets, ", ") + " WHERE id = $1", append([]any{m.ID, m.Version, m.UpdatedAt}, r.bind(thing)...)
}

// get reads one thing by its id or its key.
func (r *resource[T]) get(ctx context.Context, tx pgx.Tx, idOrKey, lock string) (*T, error) {
	where, arg := " WHERE key = $1", any(idOrKey)
	if id, err := plant.ParseID(idOrKey); err == nil {
		where, arg = " WHERE id = $1", any(id)
	} else if !r.has("key") {
		return nil, r.missing()
	}
	thing := new(T)
	err := tx.QueryRow(ctx, r.selectSQL()+where+lock, arg).Scan(r.targets(thing)...)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, r.missing()
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", r.aggregate, err)
	}
	if r.load != nil {
		if err := r.load(ctx, tx, []*T{thing}); err != nil {
			return nil, err
		}
	}
	return thing, nil
}

// update changes a thing in place; the change may refuse, and one that leaves the
// thing as it was makes no version and no event. event names what happened; "" is
// Updated.
func (r *resource[T]) update(ctx context.Context, w *writing, idOrKey string, expected int64, event string, change func(*T) error) (*T, error) {
	thing, err := r.get(ctx, w.tx, idOrKey, " FOR UPDATE")
	if err != nil {
		return nil, err
	}
	m := r.meta(thing)
	if expected != AnyVersion && expected != m.Version {
		return nil, fault.New(fault.PreconditionFailed, "the %s is at version %d", r.words(), m.Version)
	}
	before := *thing // changes set fields and leave what these point at alone
	if err := change(thing); err != nil {
		return nil, err
	}
	*m = *r.meta(&before)
	if err := r.valid(thing); err != nil {
		return nil, err
	}
	if same(reflect.ValueOf(&before), reflect.ValueOf(thing)) {
		return thing, nil
	}
	if r.along != nil {
		if err := r.along(ctx, w, &before, thing); err != nil {
			return nil, err
		}
	}
	if err := r.put(ctx, w, thing); err != nil {
		return nil, err
	}
	if err := r.after(ctx, w, thing); err != nil {
		return nil, err
	}
	if event == "" {
		event = r.noun + "Updated"
	}
	return thing, r.announce(ctx, w, thing, event)
}

// remove deletes a thing.
func (r *resource[T]) remove(ctx context.Context, w *writing, idOrKey string, expected int64) error {
	thing, err := r.get(ctx, w.tx, idOrKey, " FOR UPDATE")
	if err != nil {
		return err
	}
	m := r.meta(thing)
	if expected != AnyVersion && expected != m.Version {
		return fault.New(fault.PreconditionFailed, "the %s is at version %d", r.words(), m.Version)
	}
	if r.along != nil {
		if err := r.along(ctx, w, thing, nil); err != nil {
			return err
		}
	}
	if _, err := w.tx.Exec(ctx, "DELETE FROM "+r.table+" WHERE id = $1", m.ID); err != nil {
		return r.refused("deleting", err)
	}
	if r.entry != nil {
		if err := w.retract(ctx, r.aggregate, m.ID, m.Version+1); err != nil {
			return err
		}
	}
	return w.record(ctx, change{r.aggregate, m.ID, r.noun + "Deleted", thing})
}

func (r *resource[T]) after(ctx context.Context, w *writing, thing *T) error {
	if r.save == nil {
		return nil
	}
	return r.save(ctx, w.tx, thing)
}

// announce queues the directory entry first: who acts on the event finds the
// directory at least as new.
func (r *resource[T]) announce(ctx context.Context, w *writing, thing *T, event string) error {
	m := r.meta(thing)
	if r.entry != nil {
		if err := w.publish(ctx, r.aggregate, m.ID, m.Version, r.entry(w.who.Tenant, thing)); err != nil {
			return err
		}
	}
	return w.record(ctx, change{r.aggregate, m.ID, event, thing})
}

func (r *resource[T]) valid(thing *T) error {
	if r.check == nil {
		return nil
	}
	return r.check(thing).broken()
}

// words is what people call one of the things.
func (r *resource[T]) words() string { return strings.ReplaceAll(r.aggregate, "_", " ") }

func (r *resource[T]) missing() error {
	return fault.New(fault.NotFound, "there is no such %s", r.words())
}

func (r *resource[T]) has(column string) bool {
	for _, c := range r.columns {
		if c == column {
			return true
		}
	}
	return false
}

// refused turns what Postgres refuses into what the caller did wrong.
func (r *resource[T]) refused(doing string, err error) error {
	switch code, constraint := postgres.Code(err); code {
	case postgres.CodeUnique:
		if constraint == "batches_running" {
			return fault.New(fault.Conflict, "the line already runs a batch")
		}
		return fault.New(fault.Conflict, "another %s already has this %s", r.words(), strings.TrimSuffix(strings.TrimPrefix(constraint, r.table+"_"), "_key"))
	case postgres.CodeForeignKey:
		if doing == "deleting" {
			return fault.New(fault.Conflict, "the %s is still in use", r.words())
		}
		field := strings.TrimSuffix(strings.TrimPrefix(constraint, r.table+"_"), "_fkey")
		return fault.NewInvalid(fault.Item{Location: field, Rule: "unknown", Message: "names nothing that exists"})
	case postgres.CodeCheck:
		return fault.NewInvalid(fault.Item{Location: strings.TrimSuffix(strings.TrimPrefix(constraint, r.table+"_"), "_check"), Rule: "check", Message: "breaks a rule of the store"})
	}
	return fmt.Errorf("%s %s: %w", doing, r.aggregate, err)
}
