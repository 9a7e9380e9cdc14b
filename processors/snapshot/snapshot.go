package snapshot

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
)

// chunkSize is the length of a chunk's part of the state.
const chunkSize = 512 << 10

// HeadSize is the length of what stands before it: the snapshot's id, the
// chunk's number, the number of chunks, and the CRC-32C of the part.
const HeadSize = 16 + 4 + 4 + 4

// Store saves and loads. It is safe for concurrent use.
type Store struct {
	topic  string
	group  string
	client func(...kgo.Opt) (*kgo.Client, error)
	cl     *kgo.Client
	logger *slog.Logger

	shelves shelves
}

// groupHeader names the group whose state a chunk belongs to.
const groupHeader = "group"

// New makes a store for the states of a group; Close ends it.
func New(topic, group string, client func(...kgo.Opt) (*kgo.Client, error), logger *slog.Logger) (*Store, error) {
	cl, err := client(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchMaxBytes(1<<20), kgo.ProducerBatchCompression(kgo.ZstdCompression()))
	if err != nil {
		return nil, fmt.Errorf("opening snapshot client: %w", err)
	}
	return &Store{topic: topic, group: group, client: client, cl: cl, logger: logger}, nil
}

// Close ends the store's client.
func (s *Store) Close() { s.cl.Close() }

// Save returns once every chunk is acknowledged.
func (s *Store) Save(ctx context.Context, partition int32, state []byte) (stream.Ref, error) {
	id := plant.NewID()
	n := max(1, (len(state)+chunkSize-1)/chunkSize)
	recs := make([]*kgo.Record, n)
	for i := range recs {
		part := state[i*chunkSize : min(len(state), (i+1)*chunkSize)]
		v := append(make([]byte, 0, HeadSize+len(part)), id[:]...)
		v = binary.BigEndian.AppendUint32(v, uint32(i))
		v = binary.BigEndian.AppendUint32(v, uint32(n))
		v = binary.BigEndian.AppendUint32(v, crc32.Checksum(part, crc32.MakeTable(crc32.Castagnoli)))
		recs[i] = &kgo.Record{
			Topic: s.topic, Partition: partition, Value: append(v, part...),
			Key:     binary.BigEndian.AppendUint32(append([]byte(nil), id[:]...), uint32(i)),
			Headers: []kgo.RecordHeader{{Key: groupHeader, Value: []byte(s.group)}},
		}
	}
	if err := s.cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
		return stream.Ref{}, fmt.Errorf("storing snapshot of slot %d: %w", partition, err)
	}
	ref := stream.Ref{Start: recs[0].Offset, End: recs[n-1].Offset + 1}
	keys := make([][]byte, n)
	for i := range recs {
		keys[i] = recs[i].Key
	}
	s.shelves.note(partition, ref, keys)
	return ref, nil
}

// Has says whether the topic still reaches over the reference's offsets; for the
// zero Ref, whether the partition holds anything of the group.
func (s *Store) Has(ctx context.Context, partition int32, ref stream.Ref) (bool, error) {
	adm := kadm.NewClient(s.cl)
	starts, err := adm.ListStartOffsets(ctx, s.topic)
	if err != nil {
		return false, fmt.Errorf("listing start of %s: %w", s.topic, err)
	}
	ends, err := adm.ListEndOffsets(ctx, s.topic)
	if err != nil {
		return false, fmt.Errorf("listing end of %s: %w", s.topic, err)
	}
	first, ok := starts.Lookup(s.topic, partition)
	last, also := ends.Lookup(s.topic, partition)
	if err := errors.Join(first.Err, last.Err); err != nil || !ok || !also {
		return false, fmt.Errorf("listing offsets of %s/%d: %w", s.topic, partition, err)
	}
	if ref == (stream.Ref{}) {
		return s.any(ctx, partition, first.Offset, last.Offset)
	}
	return first.Offset <= ref.Start && ref.End <= last.Offset, nil
}

// any looks for a chunk of the group between the offsets.
func (s *Store) any(ctx context.Context, partition int32, from, to int64) (bool, error) {
	if from >= to {
		return false, nil
	}
	found := false
	err := s.scan(ctx, partition, from, wholeFetch, func(r *kgo.Record) (more bool, err error) {
		found = group(r) == s.group
		return !found && r.Offset < to-1, nil
	})
	return found, err
}

// The bytes of a fetch where a partition's chunks are read one after the other, and
// where only their headers are looked at.
const (
	wholeFetch = 8 << 20
	lookFetch  = 2 << 20
)

// scan calls fn with the records of a partition from an offset on, for as long as it
// wants more.
func (s *Store) scan(ctx context.Context, partition int32, from int64, fetch int32, fn func(r *kgo.Record) (more bool, err error)) error {
	cl, err := s.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: {partition: kgo.NewOffset().At(from)}}), kgo.FetchMaxPartitionBytes(fetch))
	if err != nil {
		return fmt.Errorf("opening snapshot reader: %w", err)
	}
	defer cl.Close()
	for {
		fs := cl.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			return fmt.Errorf("reading snapshots of slot %d: %w", partition, err)
		}
		for it := fs.RecordIter(); !it.Done(); {
			if more, err := fn(it.Next()); err != nil || !more {
				return err
			}
		}
	}
}

// Load reads the chunks between the reference's offsets.
func (s *Store) Load(ctx context.Context, partition int32, ref stream.Ref) ([]byte, error) {
	if has, err := s.Has(ctx, partition, ref); err != nil || !has {
		return nil, errors.Join(err, stream.ErrNoSnapshot)
	}
	var a assembly
	var keys [][]byte
	if err := s.scan(ctx, partition, ref.Start, wholeFetch, func(r *kgo.Record) (more bool, err error) {
		if r.Offset >= ref.End {
			return false, fmt.Errorf("%w: %d of %d chunks between offsets %d and %d", stream.ErrNoSnapshot, a.have, a.want, ref.Start, ref.End)
		}
		if r.Value == nil { // of an old snapshot
			return true, nil
		}
		had := a.have
		if err := a.add(r.Value); err != nil {
			return false, fmt.Errorf("reading snapshot of slot %d at offset %d: %w", partition, r.Offset, err)
		}
		if a.have > had {
			keys = append(keys, bytes.Clone(r.Key))
		}
		return a.want == 0 || a.have < a.want, nil
	}); err != nil {
		return nil, err
	}
	s.shelves.note(partition, ref, keys)
	return a.state, nil
}

// assembly joins the chunks of one snapshot; chunks of others between them,
// from an owner that was fenced, are passed over.
type assembly struct {
	id         []byte
	have, want uint32
	state      []byte
}

func (a *assembly) add(v []byte) error {
	if len(v) < HeadSize {
		return fmt.Errorf("chunk of %d bytes", len(v))
	}
	number, count, sum, part := binary.BigEndian.Uint32(v[16:]), binary.BigEndian.Uint32(v[20:]), binary.BigEndian.Uint32(v[24:]), v[HeadSize:]
	if a.id == nil {
		a.id, a.want = v[:16], count
	}
	if !bytes.Equal(a.id, v[:16]) {
		return nil
	}
	if number < a.have && count == a.want { // the producer sent it again
		return nil
	}
	if count == 0 || number != a.have || count != a.want || crc32.Checksum(part, crc32.MakeTable(crc32.Castagnoli)) != sum {
		return fmt.Errorf("chunk %d of %d is damaged or out of order", number, count)
	}
	a.have++
	a.state = append(a.state, part...)
	return nil
}
