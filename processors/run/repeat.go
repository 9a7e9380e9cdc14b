package run

import (
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/plant"
)

// limitOf is one limit of one sensor, limitMessage the place in task.messages of
// what it found.
type limitOf struct {
	sensor plant.ID
	kind   plant.AnomalyKind
}

type limitMessage struct {
	of      limitOf
	message int
}

// repeats is what limits found in batches that were folded again in silence, the last
// of each limit. The state is rebuilt under the configuration of now, so that may be
// something else than what the owner before said of these batches: a limit that was
// lowered since is passed in silence, and would be so for good, without an alarm. So
// it is said with the first output; where it was said before, it is a repetition,
// which is told by its place.
type repeats struct {
	list []broker.Message
	at   map[limitOf]int // in list
}

func (r *repeats) note(of limitOf, m broker.Message) {
	if i, ok := r.at[of]; ok {
		r.list[i] = m
		return
	}
	if r.at == nil {
		r.at = map[limitOf]int{}
	}
	r.at[of] = len(r.list)
	r.list = append(r.list, m)
}
