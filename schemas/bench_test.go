package schemas

import (
	"encoding/binary"
	"math"
	"strings"
	"testing"

	hamba "github.com/hamba/avro/v2"
	"github.com/twmb/avro"

	"github.com/foodflow/foodflow/internal/plant"
)

// BenchmarkCodec measures the hot path beside both libraries, beside ids as
// text, and beside a bare loop that moves the same bytes and checks nothing. It
// reports MB/s of frames; bare_ratio is the bare loop's time over ours.
func BenchmarkCodec(b *testing.B) {
	c := codec(b)
	r := sampleReading().(plant.Reading)
	frame := c.AppendReading(nil, &r)
	w := wireReading{r.Tenant, r.Line, r.Sensor, r.TS, r.Value, r.Quality.String(), toSeq(r.Seq)}
	text, _, err := latest(Reading)
	if err != nil {
		b.Fatal(err)
	}
	twmb, other := avro.MustParse(text), hamba.MustParse(text)
	buf := make([]byte, 0, 512)

	var bareEncode, bareDecode float64
	run := func(name string, size int, bare *float64, f func() error) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for b.Loop() {
				if err := f(); err != nil {
					b.Fatal(err)
				}
			}
			ns := float64(b.Elapsed().Nanoseconds()) / float64(b.N)
			if *bare == 0 {
				*bare = ns
			}
			b.ReportMetric(*bare/ns, "bare_ratio")
			b.ReportMetric(float64(size), "B/frame")
		})
	}
	run("encode/bare", len(frame), &bareEncode, func() error { buf = append(buf[:0], frame...); return nil })
	run("encode/foodflow", len(frame), &bareEncode, func() error { buf = c.AppendReading(buf[:0], &r); return nil })
	run("encode/twmb", len(frame), &bareEncode, func() error { var err error; buf, err = twmb.AppendEncode(buf[:0], &w); return err })
	run("encode/hamba", len(frame), &bareEncode, func() error { var err error; buf, err = hamba.Marshal(other, &w); return err })
	textFrame := appendTextReading(nil, c, &r)
	run("encode/text_ids", len(textFrame), &bareEncode, func() error { buf = appendTextReading(buf[:0], c, &r); return nil })

	var out plant.Reading
	run("decode/bare", len(frame), &bareDecode, func() error { bareWalk(frame, &out); return nil })
	run("decode/foodflow", len(frame), &bareDecode, func() error { return c.DecodeReading(frame, &out) })
	var wo wireReading
	run("decode/twmb", len(frame), &bareDecode, func() error { _, err := twmb.Decode(frame[frameSize:], &wo); return err })
	run("decode/hamba", len(frame), &bareDecode, func() error { return hamba.Unmarshal(other, frame[frameSize:], &wo) })
	run("decode/text_ids", len(textFrame), &bareDecode, func() error { return decodeTextReading(textFrame, c, &out) })
	if out != r {
		b.Fatalf("ids as text: read %+v, want %+v", out, r)
	}
}

// bareWalk moves a frame's bytes into a reading and checks nothing.
func bareWalk(frame []byte, r *plant.Reading) {
	b := frame[frameSize:]
	copy(r.Tenant[:], b)
	copy(r.Line[:], b[16:])
	copy(r.Sensor[:], b[32:])
	n := idsSize
	long := func() int64 {
		var u uint64
		for s := 0; ; s += 7 {
			c := b[n]
			n++
			u |= uint64(c&0x7f) << s
			if c < 0x80 {
				return int64(u>>1) ^ -int64(u&1)
			}
		}
	}
	r.TS = long()
	r.Value = math.Float64frombits(binary.LittleEndian.Uint64(b[n:]))
	n += 8
	r.Quality = plant.Quality(long())
	if long() == 1 {
		r.Seq = long()
	}
}

// appendTextReading is AppendReading with ids as Avro strings, as most schemas
// have them.
func appendTextReading(dst []byte, c *Codec, r *plant.Reading) []byte {
	dst = append(dst, c.reading.prefix[:]...)
	for _, id := range [...]*plant.ID{&r.Tenant, &r.Line, &r.Sensor} {
		dst, _ = id.AppendText(append(dst, 72))
	}
	dst = appendDouble(appendLong(dst, r.TS), r.Value)
	return appendSeq(appendLong(dst, int64(r.Quality)), r.Seq)
}

func decodeTextReading(frame []byte, c *Codec, r *plant.Reading) error {
	id, body, err := split(frame)
	if err != nil || id != c.reading.id {
		return ErrFrame
	}
	cur := cursor{b: body}
	for _, id := range [...]*plant.ID{&r.Tenant, &r.Line, &r.Sensor} {
		if *id, err = plant.ParseID(string(cur.take(cur.length()))); err != nil {
			return ErrBody
		}
	}
	r.TS, r.Value = cur.long(), cur.double()
	r.Quality, r.Seq = plant.Quality(cur.enum(3)), cur.seq()
	if cur.bad || len(cur.b) > 0 {
		return ErrBody
	}
	return checkReading(r)
}

// BenchmarkLineEvent measures line events beside the library.
func BenchmarkLineEvent(b *testing.B) {
	c := codec(b)
	e := sampleLineEvent().(plant.LineEvent)
	frame := c.AppendLineEvent(nil, &e)
	buf := make([]byte, 0, 512)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(frame)))
		for b.Loop() {
			buf = c.AppendLineEvent(buf[:0], &e)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(frame)))
		var out plant.LineEvent
		for b.Loop() {
			if err := c.DecodeLineEvent(frame, &out); err != nil {
				b.Fatal(err)
			}
		}
	})
	_, s, err := latest(LineEvent)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("decode/twmb", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(frame)))
		var out wireLineEvent
		for b.Loop() {
			if _, err := s.Decode(frame[frameSize:], &out); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkResolved measures a reading under a schema that is not this
// program's own, with a field more: the price of a mixed fleet.
func BenchmarkResolved(b *testing.B) {
	reg := &memory{}
	c, err := NewCodec(b.Context(), reg)
	if err != nil {
		b.Fatal(err)
	}
	r := sampleReading().(plant.Reading)
	body := append(c.AppendReading(nil, &r)[frameSize:], 0)
	frame := frameOf(reg.foreignID(b, strings.TrimSpace(heavier(b, `"string"`))), body)
	b.ReportAllocs()
	b.SetBytes(int64(len(frame)))
	for b.Loop() {
		if err := c.DecodeReading(frame, &r); err != nil {
			b.Fatal(err)
		}
	}
}
