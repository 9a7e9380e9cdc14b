package schemas

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
)

// inflater undoes the compression of a block. It appends to dst[:0] and gives
// no more than its limit of bytes.
type inflater interface {
	inflate(dst, src []byte) ([]byte, error)
	close()
}

// newInflater gives the inflater of a codec of the Avro specification.
func newInflater(codec string, limit int) (inflater, error) {
	switch codec {
	case "", "null":
		return plain{}, nil
	case "deflate":
		return &deflate{limit: limit}, nil
	case "snappy":
		return snap{limit: limit}, nil
	case "zstandard":
		return newZstandard(limit)
	}
	return nil, fmt.Errorf("%w: codec %.32q is not one of null, deflate, snappy, zstandard", ErrContainerSchema, codec)
}

type plain struct{}

func (plain) inflate(dst, src []byte) ([]byte, error) { return append(dst, src...), nil }
func (plain) close()                                  {}

type deflate struct {
	limit int
	r     io.ReadCloser
}

func (d *deflate) inflate(dst, src []byte) ([]byte, error) {
	if d.r == nil {
		d.r = flate.NewReader(bytes.NewReader(src))
	} else if err := d.r.(flate.Resetter).Reset(bytes.NewReader(src), nil); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContainer, err)
	}
	return drain(dst, d.r, d.limit)
}

func (d *deflate) close() {
	if d.r != nil {
		_ = d.r.Close() // it reads from memory: there is nothing to lose
	}
}

// snappyRatio is above what Snappy's format can inflate by: its densest element
// makes 64 bytes of 3.
const snappyRatio = 22

type snap struct{ limit int }

// inflate takes a Snappy block and the CRC-32 of what it holds. The length a
// block promises is believed only as far as its own size can bear it out.
func (s snap) inflate(dst, src []byte) ([]byte, error) {
	if len(src) < 4 {
		return nil, fmt.Errorf("%w: snappy block without a checksum", ErrContainer)
	}
	body, sum := src[:len(src)-4], binary.BigEndian.Uint32(src[len(src)-4:])
	n, err := snappy.DecodedLen(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContainer, err)
	}
	if n > s.limit {
		return nil, fmt.Errorf("%w: a block inflates to more than %d bytes", ErrTooLarge, s.limit)
	}
	if n > snappyRatio*len(body) {
		return nil, fmt.Errorf("%w: snappy block promises more than it can hold", ErrContainer)
	}
	out, err := snappy.Decode(dst[:cap(dst)], body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContainer, err)
	}
	if crc32.ChecksumIEEE(out) != sum {
		return nil, fmt.Errorf("%w: wrong checksum of a snappy block", ErrContainer)
	}
	return out, nil
}

func (snap) close() {}

type zstandard struct {
	limit int
	dec   *zstd.Decoder
}

func newZstandard(limit int) (*zstandard, error) {
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(uint64(max(limit, zstd.MinWindowSize))))
	if err != nil {
		return nil, fmt.Errorf("making zstd decoder: %w", err)
	}
	return &zstandard{limit: limit, dec: dec}, nil
}

func (z *zstandard) inflate(dst, src []byte) ([]byte, error) {
	if err := z.dec.Reset(bytes.NewReader(src)); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContainer, err)
	}
	return drain(dst, z.dec, z.limit)
}

func (z *zstandard) close() { z.dec.Close() }

// drain reads r to its end, at most limit bytes, growing with what comes.
func drain(dst []byte, r io.Reader, limit int) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	n, err := buf.ReadFrom(io.LimitReader(r, int64(limit)+1))
	if n > int64(limit) || errors.Is(err, zstd.ErrWindowSizeExceeded) {
		return nil, fmt.Errorf("%w: a block inflates to more than %d bytes", ErrTooLarge, limit)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrContainer, notEOF(err))
	}
	return buf.Bytes(), nil
}
