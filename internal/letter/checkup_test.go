package letter_test

import (
	"context"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/doctor"
	"github.com/foodflow/foodflow/internal/letter"
)

// TestCheckup: the doctor counts letters that wait or are in doubt, and neither
// marks nor what was replayed.
func TestCheckup(t *testing.T) {
	w := newWorld(t)
	open := func(context.Context) (letter.Codec, error) { return w.codec, nil }
	want := func(open func(context.Context) (letter.Codec, error), s doctor.Severity, what string) {
		t.Helper()
		found := letter.Checkup(w.cfg, open).Run(t.Context())
		if len(found) != 1 || found[0].Severity != s || !strings.Contains(found[0].What, what) {
			t.Errorf("%+v, want %q", found, what)
		}
	}
	want(open, doctor.OK, "no dead letters wait")
	w.bury(0, 3)
	want(open, doctor.Warning, "3 dead letters wait, 0 are in doubt")
	arm(t, "letter.after_claim:error")
	_, err := w.replay(config(), w.deps())
	arm(t, "")
	if err == nil {
		t.Fatal("not broken off")
	}
	want(open, doctor.Warning, "0 dead letters wait, 3 are in doubt")
	w.until(config(), w.deps())
	want(open, doctor.OK, "no dead letters wait")
	want(nil, doctor.Warning, "up to ")
	want(func(context.Context) (letter.Codec, error) { return nil, context.DeadlineExceeded }, doctor.Error, "does not answer")
}
