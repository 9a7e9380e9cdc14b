package letter_test

import (
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/letter"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// TestBook: which marks hold, by their order and the times at which they were
// stored.
func TestBook(t *testing.T) {
	id, none, a, b, c := plant.NewID(), plant.ID{}, plant.NewID(), plant.NewID(), plant.NewID()
	type mark struct {
		state      string
		run, after plant.ID
		at         int // seconds
	}
	claim := func(run, after plant.ID, at int) mark { return mark{letter.Claimed, run, after, at} }
	again := func(run, after plant.ID, at int) mark { return mark{"again", run, after, at} }
	done := func(run plant.ID, at int) mark { return mark{letter.Replayed, run, none, at} }
	for name, tc := range map[string]struct {
		marks []mark
		state string
		run   plant.ID
		at    int
	}{
		"none":                                {nil, letter.Waiting, none, 0},
		"claimed":                             {[]mark{claim(a, none, 1)}, letter.Claimed, a, 1},
		"the first claim holds":               {[]mark{claim(a, none, 1), claim(b, none, 1)}, letter.Claimed, a, 1},
		"replayed":                            {[]mark{claim(a, none, 1), done(a, 2)}, letter.Replayed, a, 2},
		"a mark that is stored twice":         {[]mark{claim(a, none, 1), claim(a, none, 2), done(a, 3), done(a, 4)}, letter.Replayed, a, 3},
		"nobody's word":                       {[]mark{done(a, 1)}, letter.Waiting, none, 0},
		"another's word":                      {[]mark{claim(a, none, 1), done(b, 2)}, letter.Claimed, a, 1},
		"followed too early":                  {[]mark{claim(a, none, 1), claim(b, a, 90)}, letter.Claimed, a, 1},
		"followed in time":                    {[]mark{claim(a, none, 1), claim(b, a, 91)}, letter.Claimed, b, 91},
		"two follow":                          {[]mark{claim(a, none, 1), claim(b, a, 91), claim(c, a, 91)}, letter.Claimed, b, 91},
		"the word of one that was followed":   {[]mark{claim(a, none, 1), claim(b, a, 91), done(a, 92)}, letter.Claimed, b, 91},
		"claimed by who hadn't read on":       {[]mark{claim(a, none, 1), done(a, 2), claim(b, none, 500)}, letter.Replayed, a, 2},
		"replayed before the claim is stored": {[]mark{claim(a, none, 1), done(a, 2), claim(b, a, 500)}, letter.Replayed, a, 2},
		"again, though it wasn't":             {[]mark{claim(a, none, 1), again(b, a, 500)}, letter.Claimed, a, 1},
		"replayed again":                      {[]mark{claim(a, none, 1), done(a, 2), again(b, a, 3), done(b, 4)}, letter.Replayed, b, 4},
		"two replay it again, and one has it": {[]mark{claim(a, none, 1), done(a, 2), again(b, a, 3), again(c, a, 3), done(c, 4)}, letter.Claimed, b, 3},
		"a state of a newer program":          {[]mark{claim(a, none, 1), {"burnt", a, none, 2}}, letter.Claimed, a, 1},
	} {
		book := letter.NewBook()
		for _, m := range tc.marks {
			book.Enter(id, &schemas.LetterMark{State: m.state, Run: m.run, After: m.after, LeaseMS: 60_000}, time.Unix(int64(m.at), 0))
		}
		f := book.Of(id)
		at := 0
		if !f.At.IsZero() {
			at = int(f.At.Unix())
		}
		if f.State != tc.state || f.Run != tc.run || at != tc.at {
			t.Errorf("%s: %s by %s at %d, want %s by %s at %d", name, f.State, f.Run, at, tc.state, tc.run, tc.at)
		}
		if book.Of(plant.NewID()).State != letter.Waiting {
			t.Errorf("%s: another letter has a fate", name)
		}
	}
}

// TestLongLeases: no mark locks a letter for longer than an hour and a half.
func TestLongLeases(t *testing.T) {
	id, a, b := plant.NewID(), plant.NewID(), plant.NewID()
	for _, lease := range []int64{1 << 62, -1 << 62} {
		book := letter.NewBook()
		book.Enter(id, &schemas.LetterMark{State: letter.Claimed, Run: a, LeaseMS: lease}, time.Unix(0, 0))
		book.Enter(id, &schemas.LetterMark{State: letter.Claimed, Run: b, After: a, LeaseMS: lease}, time.Unix(5400, 0))
		if f := book.Of(id); f.Run != b {
			t.Errorf("a lease of %d ms holds for good", lease)
		}
	}
}

// FuzzOrigin: what is no origin is told, and never makes a record overdue.
func FuzzOrigin(f *testing.F) {
	o := letter.Origin{Letter: plant.NewID(), Run: plant.NewID(), Index: 3, Until: 1_764_000_000_000}
	f.Add(o.Value())
	f.Add([]byte("x y 1 2"))
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, ok := letter.ParseOrigin(b)
		if !ok {
			if letter.Overdue(b, 1<<62) {
				t.Error("overdue, though there is no origin")
			}
			return
		}
		if again, ok := letter.ParseOrigin(got.Value()); !ok || again != got {
			t.Errorf("%+v is read back as %+v", got, again)
		}
		if letter.Overdue(b, got.Until) {
			t.Error("overdue at its end")
		}
	})
}
