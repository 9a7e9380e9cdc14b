package run_test

import (
	"bytes"
	"testing"

	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/run"
)

// FuzzRestoreState: whatever a snapshot holds, it is refused, or taken as a
// state that folds on and comes back the same.
func FuzzRestoreState(f *testing.F) {
	task, deps := folded(f)
	state, err := task.AppendState(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(state)
	f.Add([]byte{1, 0, 0})
	f.Add([]byte{2, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		slot := stream.Slot{Inputs: []stream.Input{{}, {}}}
		task := run.NewTask(deps, slot)
		if task.RestoreState(b) != nil {
			return
		}
		first, err := task.AppendState(nil)
		if err != nil {
			t.Fatal(err)
		}
		again := run.NewTask(deps, slot)
		if err := again.RestoreState(first); err != nil {
			t.Fatalf("its own state is refused: %v", err)
		}
		second, err := again.AppendState(nil)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("the state differs after a restart: %v", err)
		}
		if err := task.Settle(stream.Batch{Slot: slot, From: []int64{0, 0}, To: []int64{0, 0}}); err != nil {
			t.Fatal(err)
		}
	})
}
