package broker

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// TestReadTopicPastRetention reads a topic that has lost the older records of one
// partition and all records of another: what is left comes, and nothing is waited
// for.
func TestReadTopicPastRetention(t *testing.T) {
	cfg, cl := cluster(t)
	publish(t, cl, "a", 0, 200)
	adm := kadm.NewClient(cl)
	ends, err := EndOffsets(t.Context(), cfg, "a")
	if err != nil {
		t.Fatal(err)
	}
	var lost, whole int64
	var gone kadm.Offsets
	for p, end := range ends {
		whole += end
		switch {
		case end > 1 && lost == 0:
			gone.AddOffset("a", p, end, -1)
			lost += end
		case end > 1 && len(gone["a"]) == 1:
			gone.AddOffset("a", p, end-1, -1)
			lost += end - 1
		}
	}
	if r, err := adm.DeleteRecords(t.Context(), gone); err != nil || r.Error() != nil {
		t.Fatal(err, r.Error())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var read int64
	err = ReadTopic(ctx, cfg, "a", func(int32, int64, []byte) error {
		read++
		return nil
	})
	if err != nil || read != whole-lost || lost == 0 || len(gone["a"]) != 2 {
		t.Errorf("read %d of %d records, %d of them gone: %v", read, whole, lost, err)
	}
}
