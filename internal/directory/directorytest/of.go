package directorytest

import (
	"fmt"
	"testing"

	"github.com/foodflow/foodflow/internal/directory"
)

// Of gives a directory that knows things (directory.Tenant, directory.Line and
// so on).
func Of(t testing.TB, things ...any) *directory.Store {
	t.Helper()
	s := directory.NewStore()
	if err := Enter(s, things...); err != nil {
		t.Fatal(err)
	}
	return s
}

// Enter lets a directory know things, in their first version.
func Enter(s *directory.Store, things ...any) error {
	for _, thing := range things {
		e, err := directory.EntryOf(1, thing)
		if err != nil {
			return fmt.Errorf("making an entry: %w", err)
		}
		if err := s.Apply(&e); err != nil {
			return fmt.Errorf("entering %T: %w", thing, err)
		}
	}
	return nil
}
