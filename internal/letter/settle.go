package letter

import (
	"context"
	"slices"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/plant"
)

// settle looks what became of letters whose claim follows another's: what that
// one got through is found on the topic, since none of it can count that isn't
// stored by now. Letters of which that can't be told any more stay out, unless
// they are to be replayed in any case.
func (r *Replayer) settle(ctx context.Context, items []item) ([]item, error) {
	doubtful := map[string][]*item{}
	for i := range items {
		if it := &items[i]; len(it.fate.runs) > 1 && len(it.messages) > 0 {
			doubtful[it.messages[0].Topic] = append(doubtful[it.messages[0].Topic], it)
		}
	}
	unsure := map[plant.ID]bool{}
	for topic, them := range doubtful {
		whole, err := r.find(ctx, topic, them)
		if err != nil {
			return nil, err
		}
		for _, it := range them {
			if !whole && len(it.stored) < len(it.messages) && !r.cfg.Again {
				unsure[it.letter.ID] = true
				r.deps.Logger.WarnContext(ctx, "whether the letter was replayed can't be told any more", "dead_letter", it.letter.ID, "claimed", it.fate.since)
			}
		}
	}
	r.tally.Unsure += len(unsure)
	return slices.DeleteFunc(items, func(it item) bool { return unsure[it.letter.ID] }), nil
}

// find enters what of the letters stands on their topic and counts, and says
// whether all that was stored since they were claimed is still there.
func (r *Replayer) find(ctx context.Context, topic string, items []*item) (whole bool, err error) {
	by := map[plant.ID]*item{}
	first, now := items[0].fate.since, time.Time{}
	for _, it := range items {
		by[it.letter.ID], it.stored = it, map[int]bool{}
		if now.Before(it.fate.At) {
			now = it.fate.At
		}
		// Another broker's clock may be behind.
		if since := it.fate.since.Add(-it.fate.lease / 2); since.Before(first) {
			first = since
		}
	}
	from, whole, err := r.deps.Log.Since(ctx, topic, first, now)
	if err != nil {
		return false, err
	}
	_, err = r.deps.Log.ReadFrom(ctx, topic, from, func(s *broker.Stored) error {
		for _, h := range s.Headers {
			if h.Key != HeaderKey {
				continue
			}
			o, ok := ParseOrigin(h.Value)
			if it := by[o.Letter]; ok && it != nil && s.TS <= o.Until && slices.Contains(it.fate.runs, o.Run) {
				it.stored[o.Index] = true
			}
		}
		return nil
	})
	return whole, err
}
