package simulate

import (
	"context"
	"fmt"
	"hash/fnv"

	"golang.org/x/sync/errgroup"

	"github.com/foodflow/foodflow/internal/feed"
)

// Ways sends a share of the plant by another way than the rest, as plants do of
// which some machines have a gateway for MQTT and some one for HTTP. A sensor
// and a line always go the same way.
type Ways struct {
	One, Other Sender
	// Share is the part of the sensors, and of the lines, that go by Other.
	Share float64
}

// other says which way a key goes: its hash decides.
func (w Ways) other(key string) bool {
	h := fnv.New32a()
	_, _ = h.Write([]byte("gateway of " + key)) // a hash never fails
	return float64(h.Sum32()>>8)/float64(1<<24) < w.Share
}

// Readings sends both parts at once and returns when both are acknowledged.
func (w Ways) Readings(ctx context.Context, readings []feed.Reading) error {
	one, other := part(readings, func(r *feed.Reading) bool { return w.other(r.Sensor) })
	return both(ctx, one, other, w.One.Readings, w.Other.Readings)
}

// Events sends both parts at once and returns when both are acknowledged.
func (w Ways) Events(ctx context.Context, events []feed.Event) error {
	one, other := part(events, func(e *feed.Event) bool { return w.other(e.Line) })
	return both(ctx, one, other, w.One.Events, w.Other.Events)
}

func part[T any](all []T, isOther func(*T) bool) (one, other []T) {
	for i := range all {
		if isOther(&all[i]) {
			other = append(other, all[i])
		} else {
			one = append(one, all[i])
		}
	}
	return one, other
}

func both[T any](ctx context.Context, one, other []T, byOne, byOther func(context.Context, []T) error) error {
	group, own := errgroup.WithContext(ctx)
	for _, x := range []struct {
		items []T
		send  func(context.Context, []T) error
		name  string
	}{{one, byOne, "first"}, {other, byOther, "second"}} {
		if len(x.items) > 0 {
			group.Go(func() error {
				if err := x.send(own, x.items); err != nil {
					return fmt.Errorf("by the %s way: %w", x.name, err)
				}
				return nil
			})
		}
	}
	return group.Wait()
}
