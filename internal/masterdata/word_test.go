package masterdata

import (
	"context"
	"errors"

	"github.com/foodflow/foodflow/internal/plant"
)

// Signal takes what the stream says and gives the transitions that it made.
// Saying it again makes none, nor does what was found on a line that the sensor has
// left, or under an epoch of it that is over.
func (x Alarms) Signal(ctx context.Context, tenant plant.ID, g Signal) ([]string, error) {
	h, err := x.Hear(ctx, tenant, []Word{{Signal: &g}})
	return h.Names, errors.Join(append(h.Refused, err)...)
}

// Suppress tells the alarms of a line whether its state makes them meaningless,
// and gives whether they are suppressed now.
func (x Alarms) Suppress(ctx context.Context, tenant, line plant.ID, on bool, at, received int64) (holds bool, names []string, err error) {
	h, err := x.Hear(ctx, tenant, []Word{{State: &LineState{line, on, at, received}}})
	return h.Suppressed[line], h.Names, errors.Join(append(h.Refused, err)...)
}
