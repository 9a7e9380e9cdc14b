package snapshot

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/stream"
)

// TestHasKnowsWhose: a group's snapshots are its own; what was forgotten is not
// there.
func TestHasKnowsWhose(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "states"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	open := func(opts ...kgo.Opt) (*kgo.Client, error) {
		return kgo.NewClient(append(opts, kgo.SeedBrokers(c.ListenAddrs()...))...)
	}
	stores := map[string]*Store{}
	for _, group := range []string{"ours", "theirs"} {
		if stores[group], err = New("states", group, open, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		defer stores[group].Close()
	}
	has := func(group string, partition int32, ref stream.Ref, want bool) {
		t.Helper()
		got, err := stores[group].Has(t.Context(), partition, ref)
		if err != nil || got != want {
			t.Errorf("%s, partition %d, %v: %v, %v; want %v", group, partition, ref, got, err, want)
		}
	}
	has("ours", 0, stream.Ref{}, false)
	state := bytes.Repeat([]byte("state"), 300_000)
	ref, err := stores["ours"].Save(t.Context(), 0, state)
	if err != nil {
		t.Fatal(err)
	}
	has("ours", 0, stream.Ref{}, true)
	has("ours", 0, ref, true)
	has("ours", 0, stream.Ref{Start: ref.Start, End: ref.End + 1}, false)
	has("theirs", 0, stream.Ref{}, false)
	has("ours", 1, stream.Ref{}, false)
	if got, err := stores["ours"].Load(t.Context(), 0, ref); err != nil || !bytes.Equal(got, state) {
		t.Errorf("%d bytes of %d came back, %v", len(got), len(state), err)
	}
	if _, err := stores["theirs"].Save(t.Context(), 0, []byte("theirs")); err != nil {
		t.Fatal(err)
	}
	stores["ours"].Forget(t.Context(), 0, ref)
	has("ours", 0, ref, false)
	has("ours", 0, stream.Ref{}, false)
	has("theirs", 0, stream.Ref{}, true)
	if _, err := stores["ours"].Load(t.Context(), 0, ref); !errors.Is(err, stream.ErrNoSnapshot) {
		t.Errorf("a forgotten snapshot: %v", err)
	}
}
