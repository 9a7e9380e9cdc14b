package wire

import (
	"compress/bzip2"
	"compress/gzip"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	chcompress "github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
)

// maxWindow bounds what a zstd body makes the decoder remember.
const maxWindow = 128 << 20

// Decode gives the request's body without its encodings: HTTP's
// Content-Encoding outside, ClickHouse's block framing (decompress=1) inside.
func Decode(r *http.Request, framed bool) (io.Reader, error) {
	raw := &sound{r: r.Body}
	var body io.Reader = raw
	switch enc := strings.ToLower(r.Header.Get("Content-Encoding")); enc {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return nil, badCompression(enc, err)
		}
		body = z
	case "deflate":
		z, err := zlib.NewReader(body)
		if err != nil {
			return nil, badCompression(enc, err)
		}
		body = z
	case "bz2":
		body = bzip2.NewReader(body)
	case "br":
		body = brotli.NewReader(body)
	case "zstd":
		z, err := zstd.NewReader(body, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, badCompression(enc, err)
		}
		body = z.IOReadCloser()
	case "lz4":
		body = lz4.NewReader(body)
	default:
		return nil, badCompression(enc, fmt.Errorf("unknown encoding"))
	}
	if body != io.Reader(raw) {
		body = &toTheEnd{Reader: body, raw: raw}
	}
	if framed {
		body = newFramed(body)
	}
	return body, nil
}

// sound remembers whether the body itself broke.
type sound struct {
	r      io.Reader
	broken error
}

// Read implements io.Reader.
func (s *sound) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if err != nil && !errors.Is(err, io.EOF) {
		s.broken = err
	}
	return n, err
}

// toTheEnd makes sure that the body behind an encoding came to its end: a decoder
// that has seen the end of its own stream doesn't ask.
type toTheEnd struct {
	io.Reader
	raw *sound
}

// Read implements io.Reader.
func (t *toTheEnd) Read(b []byte) (int, error) {
	n, err := t.Reader.Read(b)
	if errors.Is(err, io.EOF) {
		_, _ = io.Copy(io.Discard, t.raw) // an error is remembered
		if t.raw.broken != nil {
			err = fmt.Errorf("reading body: %w", t.raw.broken)
		}
	}
	return n, err
}

// framed reads ClickHouse's block framing. The decoder reports the end of the
// body as a broken block; here an end between two blocks is io.EOF, and one
// inside a block stays an error, so that a body that was cut off is never taken
// for whole.
type framed struct {
	src *counter
	dec *chcompress.Reader
}

func newFramed(r io.Reader) *framed {
	src := &counter{r: r}
	return &framed{src: src, dec: chcompress.NewReader(src)}
}

// Read implements io.Reader.
func (f *framed) Read(b []byte) (int, error) {
	f.src.n = 0
	n, err := f.dec.Read(b)
	switch {
	case err == nil:
	case errors.Is(err, io.EOF) && f.src.n == 0:
		err = io.EOF
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("reading compressed block: the body ends inside it")
	}
	return n, err
}

// counter counts the bytes read through it.
type counter struct {
	r io.Reader
	n int
}

// Read implements io.Reader.
func (c *counter) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n += n
	return n, err
}

func badCompression(enc string, err error) error {
	return chdb.Raise(36, "BAD_ARGUMENTS", "Content-Encoding %q: %v", enc, err)
}
