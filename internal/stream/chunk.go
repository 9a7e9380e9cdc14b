package stream

import (
	"encoding/binary"
	"sort"
	"sync"
	"time"
	"unsafe"

	"github.com/twmb/franz-go/pkg/kgo"
)

// chunk holds records of one input as they were fetched, in two pieces of
// memory without pointers: the garbage collector never walks what waits, and
// what waits is known to the byte.
type chunk struct {
	recs []packed
	buf  []byte
	at   time.Time // when it was fetched
}

// packed places a record in its chunk's buf: key, value, then the headers, each
// as length and bytes.
type packed struct {
	offset, ts int64
	from       uint32 // in buf
	key, value uint32 // length plus one; 0: nil
	headers    uint32 // how many
}

// packedSize is the memory of a record beside its bytes.
const packedSize = int(unsafe.Sizeof(packed{}))

// chunkPool lends chunks; those that nobody asks for go with the next
// collections.
type chunkPool struct{ pool sync.Pool }

func (p *chunkPool) get() *chunk {
	if c, ok := p.pool.Get().(*chunk); ok {
		return c
	}
	return &chunk{}
}

// put takes a chunk back; no record of it may be used any more.
func (p *chunkPool) put(c *chunk) {
	c.recs, c.buf = c.recs[:0], c.buf[:0]
	p.pool.Put(c)
}

// pack copies the records, which may be recycled then.
func (c *chunk) pack(recs []*kgo.Record, now time.Time) {
	size := 0
	for _, r := range recs {
		size += len(r.Key) + len(r.Value)
	}
	// Never nil: a slice of nothing out of nil is nil, and an empty key is not a missing one.
	if c.buf == nil || cap(c.buf) < size {
		c.buf = make([]byte, 0, size)
	}
	if cap(c.recs) < len(recs) {
		c.recs = make([]packed, 0, len(recs))
	}
	c.at = now
	for _, r := range recs {
		p := packed{offset: r.Offset, ts: r.Timestamp.UnixMilli(), from: uint32(len(c.buf)), headers: uint32(len(r.Headers))}
		if r.Key != nil {
			p.key = uint32(len(r.Key)) + 1
			c.buf = append(c.buf, r.Key...)
		}
		if r.Value != nil {
			p.value = uint32(len(r.Value)) + 1
			c.buf = append(c.buf, r.Value...)
		}
		for _, h := range r.Headers {
			c.buf = append(binary.AppendUvarint(c.buf, uint64(len(h.Key))), h.Key...)
			c.buf = binary.AppendUvarint(c.buf, uint64(len(h.Value))+1)
			if h.Value == nil {
				c.buf[len(c.buf)-1] = 0
			}
			c.buf = append(c.buf, h.Value...)
		}
		c.recs = append(c.recs, p)
	}
}

// record gives the i-th record; its slices point into the chunk.
func (c *chunk) record(i int, r *Record) {
	p := &c.recs[i]
	r.Offset, r.Timestamp, r.Key, r.Value, r.Headers = p.offset, p.ts, nil, nil, nil
	b := c.buf[p.from:]
	if p.key > 0 {
		n := p.key - 1
		r.Key, b = b[:n:n], b[n:]
	}
	if p.value > 0 {
		n := p.value - 1
		r.Value, b = b[:n:n], b[n:]
	}
	if p.headers > 0 {
		r.Headers = make([]kgo.RecordHeader, p.headers)
	}
	for i := range r.Headers {
		n, size := binary.Uvarint(b)
		r.Headers[i].Key, b = string(b[size:size+int(n)]), b[size+int(n):]
		n, size = binary.Uvarint(b)
		b = b[size:]
		if n > 0 {
			r.Headers[i].Value, b = b[:n-1:n-1], b[n-1:]
		}
	}
}

// bytes is the memory of the records from i up to j.
func (c *chunk) bytes(i, j int) int {
	if i == j {
		return 0
	}
	end := len(c.buf)
	if j < len(c.recs) {
		end = int(c.recs[j].from)
	}
	return end - int(c.recs[i].from) + (j-i)*packedSize
}

// below is the index of the first record at or past an offset.
func (c *chunk) below(to int64) int {
	return sort.Search(len(c.recs), func(i int) bool { return c.recs[i].offset >= to })
}

// recordPool lends the client the memory that it decodes fetches into.
type recordPool struct {
	records, bytes sync.Pool
}

// GetRecords gives a slice with capacity n.
func (p *recordPool) GetRecords(n int) []kgo.Record {
	if s, ok := p.records.Get().(*[]kgo.Record); ok && cap(*s) >= n {
		return *s
	}
	return make([]kgo.Record, n, roundUp(n))
}

// PutRecords takes a slice back.
func (p *recordPool) PutRecords(s []kgo.Record) { p.records.Put(&s) }

// expansion is what decompressed readings take at the least, as a multiple of
// the compressed ones: three ids of sixteen bytes repeat in each.
const expansion = 4

// GetDecompressBytes gives a slice to decompress into.
func (p *recordPool) GetDecompressBytes(compressed []byte, _ kgo.CompressionCodecType) []byte {
	if s, ok := p.bytes.Get().(*[]byte); ok {
		return *s
	}
	return make([]byte, 0, roundUp(expansion*len(compressed)))
}

// PutDecompressBytes takes a slice back.
func (p *recordPool) PutDecompressBytes(s []byte) { p.bytes.Put(&s) }

// roundUp gives the next power of two, so that slices of nearly equal sizes
// serve one another.
func roundUp(n int) int {
	size := 1024
	for size < n {
		size *= 2
	}
	return size
}
