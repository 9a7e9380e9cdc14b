package snapshot

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/stream"
)

// shelves is what a store knows of the partitions: which offsets hold nothing of
// another group, and whose chunks a reference names.
type shelves struct {
	mu    sync.Mutex // guards what follows
	ours  map[int32][]stream.Ref
	names map[named][][]byte
}

type named struct {
	partition int32
	ref       stream.Ref
}

// note enters a snapshot of ours with the keys of its chunks. Chunks of others
// may lie between: then only the first of ours counts as looked at.
func (h *shelves) note(partition int32, ref stream.Ref, keys [][]byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ours == nil {
		h.ours, h.names = map[int32][]stream.Ref{}, map[named][][]byte{}
	}
	h.names[named{partition, ref}] = keys
	if ref.End-ref.Start == int64(len(keys)) {
		h.ours[partition] = append(h.ours[partition], ref)
	}
}

// clear enters offsets that were looked at.
func (h *shelves) clear(partition int32, ref stream.Ref) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ours[partition] = append(h.ours[partition], ref)
}

// end gives how far offsets are known to hold nothing of another group, from at
// on, and where the next such stretch begins, limit at most. What ends before at
// is let go of.
func (h *shelves) end(partition int32, at, limit int64) (end, next int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	end, next = at, limit
	for again := true; again; {
		again = false
		for _, r := range h.ours[partition] {
			if r.Start <= end && end < r.End {
				end, again = r.End, true
			}
		}
	}
	var kept []stream.Ref
	for _, r := range h.ours[partition] {
		if r.Start > end {
			next = min(next, r.Start)
		}
		if r.End > at {
			kept = append(kept, r)
		}
	}
	h.ours[partition] = kept
	return end, next
}

// taken gives the keys of a snapshot, once.
func (h *shelves) taken(partition int32, ref stream.Ref) [][]byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	keys := h.names[named{partition, ref}]
	delete(h.names, named{partition, ref})
	return keys
}

// lookFor bounds how long offsets are looked at for chunks of another group; what
// was not looked at stays.
const lookFor = 3 * time.Second

// Forget removes a snapshot that was replaced, and what lies before it, up to the
// first chunk of another group, whose state that may be. Where one stands before
// it, its chunks are left to compaction. It is best effort: what stays costs disk
// only.
func (s *Store) Forget(ctx context.Context, partition int32, ref stream.Ref) {
	if err := s.forget(ctx, partition, ref); err != nil {
		s.logger.Debug("old snapshot not removed", "partition", partition, "error", err)
	}
}

func (s *Store) forget(ctx context.Context, partition int32, ref stream.Ref) error {
	keys := s.shelves.taken(partition, ref)
	adm := kadm.NewClient(s.cl)
	starts, err := adm.ListStartOffsets(ctx, s.topic)
	if err != nil {
		return fmt.Errorf("listing start of %s: %w", s.topic, err)
	}
	first, ok := starts.Lookup(s.topic, partition)
	if !ok || first.Err != nil {
		return fmt.Errorf("listing start of %s/%d: %w", s.topic, partition, first.Err)
	}
	free, err := s.free(ctx, partition, first.Offset, ref.End)
	if free > first.Offset {
		var offsets kadm.Offsets
		offsets.AddOffset(s.topic, partition, free, -1)
		if _, err := adm.DeleteRecords(ctx, offsets); err != nil {
			return fmt.Errorf("removing records: %w", err)
		}
	}
	if free < ref.End && err == nil && len(keys) > 0 {
		return s.bury(ctx, partition, keys)
	}
	return err
}

// free says up to where, to at most, offsets from on hold nothing of another
// group.
func (s *Store) free(ctx context.Context, partition int32, from, to int64) (int64, error) {
	at := from
	for at < to {
		end, next := s.shelves.end(partition, at, to)
		if at = end; at >= to {
			break
		}
		looked, foreign, err := s.look(ctx, partition, at, next)
		if looked > at {
			s.shelves.clear(partition, stream.Ref{Start: at, End: looked})
			at = looked
		}
		if foreign || err != nil {
			return at, err
		}
	}
	return min(at, to), nil
}

// look reads from an offset until a chunk of another group or to, and says how far
// it came.
func (s *Store) look(ctx context.Context, partition int32, from, to int64) (at int64, foreign bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	at = from
	if at >= to {
		return at, false, nil
	}
	err = s.scan(ctx, partition, from, lookFetch, func(r *kgo.Record) (more bool, err error) {
		if at = min(r.Offset, to); at == to {
			return false, nil
		}
		if of := group(r); of != "" && of != s.group {
			foreign = true
			return false, nil
		}
		at++
		return at < to, nil
	})
	return at, foreign, err
}

// group gives the group whose state a record is part of; none for what replaces a
// chunk.
func group(r *kgo.Record) string {
	for _, h := range r.Headers {
		if h.Key == groupHeader {
			return string(h.Value)
		}
	}
	return ""
}

// bury leaves a snapshot's chunks to compaction.
func (s *Store) bury(ctx context.Context, partition int32, keys [][]byte) error {
	recs := make([]*kgo.Record, len(keys))
	for i, key := range keys {
		recs[i] = &kgo.Record{Topic: s.topic, Partition: partition, Key: key}
	}
	if err := s.cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		return fmt.Errorf("leaving an old snapshot to compaction: %w", err)
	}
	if n := len(recs); recs[n-1].Offset-recs[0].Offset == int64(n-1) {
		s.shelves.clear(partition, stream.Ref{Start: recs[0].Offset, End: recs[n-1].Offset + 1})
	}
	return nil
}
