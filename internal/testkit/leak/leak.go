package leak

import (
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// patience is how long a goroutine may take to end. Only a leak lets it pass.
const patience = 30 * time.Second

// Main runs the tests of a package, fails when they leave goroutines behind, and
// ends the process. It is for TestMain.
func Main(m goleak.TestingM) {
	code := m.Run()
	if code == 0 {
		if err := find(patience); err != nil {
			fmt.Fprintln(os.Stderr, "the tests passed and left goroutines behind: ", err)
			code = 1
		}
	}
	os.Exit(code)
}

// None fails a test that leaves goroutines behind, but for those that there were
// before: goleak.IgnoreCurrent.
func None(tb testing.TB, before goleak.Option) {
	tb.Helper()
	if err := find(patience, before); err != nil {
		tb.Error(err)
	}
}

// find gives what is left after limit.
func find(limit time.Duration, opts ...goleak.Option) error {
	for deadline := time.Now().Add(limit); ; {
		err := goleak.Find(opts...)
		if err == nil || time.Now().After(deadline) {
			return err //nolint:wrapcheck // it says all
		}
	}
}
