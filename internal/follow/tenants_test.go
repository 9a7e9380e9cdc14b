package follow_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// of gives what was done of one tenant.
func (p *plot) of(key string) (out []string) {
	for _, v := range p.done {
		if k, _, _ := strings.Cut(v, ":"); k == key {
			out = append(out, v)
		}
	}
	return out
}

// TestOneCallATenant: what a poll calls for of one tenant is done in one, in order,
// however the tenants' records are mixed.
func TestOneCallATenant(t *testing.T) {
	p := &plot{}
	f := follower(t, p)
	var values, want []string
	for i := range 500 {
		for _, key := range []string{"t", "u", "v"} {
			values = append(values, fmt.Sprintf("%s:%03d", key, i))
		}
		want = append(want, fmt.Sprintf("t:%03d", i))
	}
	if err := f.Handle(t.Context(), records(values...)); err != nil {
		t.Fatal(err)
	}
	if p.calls != 3 || !slices.Equal(p.of("t"), want) || len(p.done) != 1500 {
		t.Errorf("%d calls of 3, %d deeds of 1500", p.calls, len(p.done))
	}
}

// TestOneRefusalKeepsNoOtherBack: of a poll in which the store refuses single deeds,
// with all that came with them, the others are done in their order, and it takes few
// calls more.
func TestOneRefusalKeepsNoOtherBack(t *testing.T) {
	p := &plot{deeds: map[string]error{"t:017": &pgconn.PgError{Code: "22P05"}, "t:400": &pgconn.PgError{Code: "23514"}}, alone: map[string]bool{"t:100": true}}
	f := follower(t, p)
	var values, want []string
	for i := range 500 {
		v := fmt.Sprintf("t:%03d", i)
		values = append(values, v)
		if p.deeds[v] == nil && !p.alone[v] {
			want = append(want, v)
		}
	}
	if err := f.Handle(t.Context(), records(values...)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(p.done, want) || testutil.ToFloat64(f.Skipped.WithLabelValues("refused")) != 3 || testutil.ToFloat64(f.Done.WithLabelValues("Deed")) != 497 {
		t.Errorf("%d done, %v refused", len(p.done), testutil.ToFloat64(f.Skipped.WithLabelValues("refused")))
	}
	if p.calls > 40 {
		t.Errorf("%d calls for two refusals", p.calls)
	}
}

// TestNotNowOfOneTenant: where one tenant's store is away, what is of the others is
// done all the same, and all comes again.
func TestNotNowOfOneTenant(t *testing.T) {
	p := &plot{deeds: map[string]error{"u:2": fault.NewUnavailable(time.Second, nil, "away")}}
	f := follower(t, p)
	err := f.Handle(t.Context(), records("t:1", "u:1", "u:2", "v:1", "t:2"))
	if fault.KindOf(err) != fault.Unavailable || len(p.of("t")) != 2 || len(p.of("u")) != 0 || len(p.of("v")) != 1 {
		t.Errorf("done %v, %v", p.done, err)
	}
	p.deeds = nil
	if err := f.Handle(t.Context(), records("t:1", "u:1", "u:2", "v:1", "t:2")); err != nil || len(p.of("u")) != 2 {
		t.Errorf("done %v, %v", p.done, err)
	}
}

// TestSlowTenantKeepsNoOtherBack: while one tenant's transaction stands, those of the
// others of the poll are made. The control is a tenant that waits for itself.
func TestSlowTenantKeepsNoOtherBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &plot{}
		free := make(chan struct{}) // closed by the test
		f := follower(t, p, func(ctx context.Context, tenant plant.ID, deeds []string) ([]string, []error, error) {
			if deeds[0] == "t:slow" {
				<-free
			}
			return p.do(ctx, tenant, deeds)
		})
		done := make(chan error, 1) // sent by the worker
		go func() { done <- f.Handle(context.WithoutCancel(t.Context()), records("t:slow", "u:1", "t:2", "v:1")) }()
		synctest.Wait()
		p.mu.Lock()
		if len(p.of("u")) != 1 || len(p.of("v")) != 1 || len(p.of("t")) != 0 {
			t.Errorf("done beside a tenant that stands: %v", p.done)
		}
		p.mu.Unlock()
		close(free)
		if err := errors.Join(<-done); err != nil || !slices.Equal(p.of("t"), []string{"t:slow", "t:2"}) {
			t.Errorf("done %v, %v", p.done, err)
		}
	})
}
