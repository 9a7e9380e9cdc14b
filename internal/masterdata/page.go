package masterdata

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// Page asks for a part of a list. Lists are in the order of Sort, which names a
// column without equals ("id" is the order of creation, or "key"); After is the
// last value of the page before.
type Page struct {
	Sort       string
	Descending bool
	After      string
	Limit      int
	// Where narrows the list: column to value. An empty value is no condition.
	Where map[string]string
}

// MaxPage bounds a page.
const MaxPage = 1000

// list reads a page and whether there is more behind it.
func (r *resource[T]) list(ctx context.Context, tx pgx.Tx, p Page, columns ...string) (things []*T, more bool, err error) {
	if p.Sort != "id" && p.Sort != "key" || p.Sort == "key" && !r.has("key") {
		return nil, false, fault.NewInvalid(fault.Item{Location: "sort", Rule: "enum", Message: "can't be sorted by this"})
	}
	p.Limit = min(max(p.Limit, 1), MaxPage)
	var c conditions
	for _, column := range columns {
		if v := p.Where[column]; v != "" {
			c.add(column+"::text = %s", v)
		}
	}
	direction, compare := "ASC", ">"
	if p.Descending {
		direction, compare = "DESC", "<"
	}
	if p.After != "" {
		after, err := sortValue(p.Sort, p.After)
		if err != nil {
			return nil, false, err
		}
		c.add(p.Sort+" "+compare+" %s", after)
	}
	rows, err := tx.Query(ctx, fmt.Sprintf("%s%s ORDER BY %s %s LIMIT %d", r.selectSQL(), c.where(), p.Sort, direction, p.Limit+1), c.args...)
	if err != nil {
		return nil, false, fmt.Errorf("listing %s: %w", r.table, err)
	}
	things, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*T, error) {
		thing := new(T)
		return thing, row.Scan(r.targets(thing)...)
	})
	if err != nil {
		return nil, false, fmt.Errorf("listing %s: %w", r.table, err)
	}
	things, more = cutPage(things, p.Limit)
	if r.load != nil && len(things) > 0 {
		err = r.load(ctx, tx, things)
	}
	return things, more, err
}

// conditions narrow a list; all of them hold.
type conditions struct {
	texts []string
	args  []any
}

// add takes a condition with a %s where each value stands.
func (c *conditions) add(condition string, values ...any) {
	marks := make([]any, len(values))
	for i, v := range values {
		c.args = append(c.args, v)
		marks[i] = fmt.Sprint("$", len(c.args))
	}
	c.texts = append(c.texts, fmt.Sprintf(condition, marks...))
}

// span adds [from, to); a zero time is no bound.
func (c *conditions) span(column string, from, to time.Time) {
	if !from.IsZero() {
		c.add(column+" >= %s", from)
	}
	if !to.IsZero() {
		c.add(column+" < %s", to)
	}
}

// where is the clause, empty without a condition.
func (c *conditions) where() string {
	if len(c.texts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.texts, " AND ")
}

// cutPage takes off the row that was asked for to know whether more follow.
func cutPage[T any](rows []T, limit int) (page []T, more bool) {
	if len(rows) > limit {
		return rows[:limit], true
	}
	return rows, false
}

func sortValue(column, text string) (any, error) {
	if column != "id" {
		return text, nil
	}
	id, err := plant.ParseID(text)
	if err != nil {
		return nil, fault.NewInvalid(fault.Item{Location: "cursor", Rule: "malformed", Message: "is no cursor of this list"})
	}
	return id, nil
}

// set offers the operations that every kind of thing has.
type set[T any] struct {
	s       *Store
	r       *resource[T]
	filters []string
}

// Get reads one by id or key.
func (x set[T]) Get(ctx context.Context, tenant plant.ID, idOrKey string) (thing *T, err error) {
	err = x.s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		thing, err = x.r.get(ctx, tx, idOrKey, "")
		return err
	})
	return thing, err
}

// List reads a page; more says that another follows.
func (x set[T]) List(ctx context.Context, tenant plant.ID, p Page) (things []*T, more bool, err error) {
	err = x.s.read(ctx, tenant, func(ctx context.Context, tx pgx.Tx) error {
		things, more, err = x.r.list(ctx, tx, p, x.filters...)
		return err
	})
	return things, more, err
}

// Create adds one.
func (x set[T]) Create(ctx context.Context, who Actor, thing *T) error {
	return x.s.write(ctx, who, func(ctx context.Context, w *writing) error { return x.r.create(ctx, w, thing) })
}

// Update changes one that is at the expected version.
func (x set[T]) Update(ctx context.Context, who Actor, idOrKey string, expected int64, change func(*T) error) (thing *T, err error) {
	err = x.s.write(ctx, who, func(ctx context.Context, w *writing) error {
		thing, err = x.r.update(ctx, w, idOrKey, expected, "", change)
		return err
	})
	return thing, err
}

// Delete removes one that is at the expected version.
func (x set[T]) Delete(ctx context.Context, who Actor, idOrKey string, expected int64) error {
	return x.s.write(ctx, who, func(ctx context.Context, w *writing) error { return x.r.remove(ctx, w, idOrKey, expected) })
}

// ensure creates one unless its id is there already.
func (x set[T]) ensure(ctx context.Context, who Actor, thing *T) error {
	return x.s.write(ctx, who, func(ctx context.Context, w *writing) error {
		_, err := x.r.get(ctx, w.tx, x.r.meta(thing).ID.String(), "")
		if fault.KindOf(err) != fault.NotFound {
			return err
		}
		return x.r.create(ctx, w, thing)
	})
}
