package httpin

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// maxWindow bounds the memory a zstd stream may ask for.
const maxWindow = 8 << 20

// maxKeptBody is how much memory a buffer may keep between requests.
const maxKeptBody = 4 << 20

// coding is a Content-Encoding the door reads.
type coding uint8

const (
	codingPlain coding = iota
	codingGzip
	codingZstd
)

// codingOf finds out how a body is compressed. A refusal names in
// Accept-Encoding what the door reads (RFC 9110, 15.5.16).
func codingOf(r *http.Request, h http.Header) (coding, error) {
	switch strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ","))) {
	case "", "identity":
		return codingPlain, nil
	case "gzip", "x-gzip":
		return codingGzip, nil
	case "zstd":
		return codingZstd, nil
	}
	h.Set("Accept-Encoding", "gzip, zstd")
	return 0, fault.New(fault.UnsupportedMedia, "Content-Encoding must be gzip or zstd")
}

// body is a request's, whole and decompressed. It is good until done.
type body struct {
	bytes []byte
	sent  int64 // bytes as they came
	done  func()
}

// body reads the request's body within the limits. The request holds reserved
// bytes in flight already; what decompression makes beyond them is taken from
// room as it comes, so that many small bodies that swell can't hold more memory
// together than the bytes in flight allow.
func (s *Server) body(r *http.Request, c coding, reserved int64, room *room) (body, error) {
	limits := s.svc.Limits()
	raw := &bounded{r: r.Body, left: limits.Body, limit: limits.Body}
	var src io.Reader = raw
	limit := limits.Body
	switch c {
	case codingPlain:
	case codingGzip:
		z, err := gzip.NewReader(raw)
		if err != nil {
			return body{}, unreadable(err)
		}
		src, limit = z, limits.Decoded
	case codingZstd:
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return body{}, unreadable(err)
		}
		defer z.Close()
		src, limit = z, limits.Decoded
	}
	kept, _ := s.bodies.Get().(*[]byte)
	decoded := &bounded{r: src, left: limit, limit: limit, room: room, reserved: reserved}
	b, err := readAll((*kept)[:0], decoded, r.ContentLength, limit)
	if err != nil {
		return body{}, unreadable(err)
	}
	return body{b, raw.limit - raw.left, func() {
		if cap(b) <= maxKeptBody {
			*kept = b
			s.bodies.Put(kept)
		}
	}}, nil
}

// readAll reads r behind b. The memory doubles as it fills, from what is
// expected (negative: nobody knows), and never passes limit, to which
// bytes.Buffer would not keep.
func readAll(b []byte, r io.Reader, expected, limit int64) ([]byte, error) {
	grow := func(n int64) {
		if n = min(n, limit) + 1; n > int64(cap(b)) { // one more, to see the end
			b = append(make([]byte, 0, n), b...)
		}
	}
	grow(max(expected, 512))
	for {
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		switch {
		case errors.Is(err, io.EOF):
			return b, nil
		case err != nil:
			return nil, err
		case len(b) == cap(b):
			grow(2 * int64(cap(b)))
		}
	}
}

// roomStep is how many bytes in flight a body takes at a time.
const roomStep = 1 << 20

// room is what one request holds of the bytes in flight.
type room struct {
	svc      *ingest.Service
	tenant   plant.ID
	releases []func()
}

func (h *room) take(n int64) error {
	release, err := h.svc.Reserve(h.tenant, n)
	if err != nil {
		return err
	}
	h.releases = append(h.releases, release)
	return nil
}

func (h *room) release() {
	for _, f := range h.releases {
		f()
	}
	h.releases = nil
}

// bounded reads at most limit bytes and fails past them. With room, it takes
// bytes in flight for what it reads beyond reserved.
type bounded struct {
	r           io.Reader
	left, limit int64
	room        *room
	reserved    int64
}

// Read reads on until the limit.
func (b *bounded) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, tooLarge(b.limit)
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, tooLarge(b.limit)
	}
	if b.room != nil {
		for b.limit-b.left > b.reserved {
			if err := b.room.take(roomStep); err != nil {
				return 0, err
			}
			b.reserved += roomStep
		}
	}
	return n, err
}

func tooLarge(limit int64) error {
	return fault.New(fault.TooLarge, "the body is larger than %d bytes", limit)
}

// unreadable words an error of reading the body.
func unreadable(err error) error {
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		return f
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fault.New(fault.Timeout, "the body came too slowly")
	}
	return &fault.Error{Kind: fault.BadRequest, Detail: "the body can't be read: it is cut or not in its Content-Encoding", Cause: fmt.Errorf("reading body: %w", err)}
}
