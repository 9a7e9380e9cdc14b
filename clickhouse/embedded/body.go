package embedded

import (
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
)

// maxWindow bounds what a zstd body makes the decoder remember.
const maxWindow = 128 << 20

// decodedBody gives the request's body without its encodings: HTTP's
// Content-Encoding outside, ClickHouse's block framing (decompress=1) inside.
func decodedBody(r *http.Request, framed bool) (io.Reader, error) {
	var body io.Reader = r.Body
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
	if framed {
		body = newFramed(body)
	}
	return body, nil
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
	return &Exception{Code: codeCompression, Text: fmt.Sprintf("Code: %d. DB::Exception: Content-Encoding %q: %v. (UNKNOWN_COMPRESSION_METHOD)", codeCompression, enc, err)}
}

// encoder wraps the answer in the encoding the client asked for. Its Close ends
// the encoding, not the answer.
func encoder(w io.Writer, h http.Header, req *request, accept string) (io.WriteCloser, error) {
	if req.compress {
		return &framer{w: w, c: chcompress.NewWriter(chcompress.LevelZero, chcompress.LZ4)}, nil
	}
	if req.httpCompress {
		switch {
		case strings.Contains(accept, "zstd"):
			h.Set("Content-Encoding", "zstd")
			return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
		case strings.Contains(accept, "br"):
			h.Set("Content-Encoding", "br")
			return brotli.NewWriterLevel(w, brotli.BestSpeed), nil
		case strings.Contains(accept, "lz4"):
			h.Set("Content-Encoding", "lz4")
			return lz4.NewWriter(w), nil
		case strings.Contains(accept, "gzip"):
			h.Set("Content-Encoding", "gzip")
			return gzip.NewWriter(w), nil
		case strings.Contains(accept, "deflate"):
			h.Set("Content-Encoding", "deflate")
			return zlib.NewWriter(w), nil
		}
	}
	return plain{w}, nil
}

type plain struct{ io.Writer }

// Close does nothing: there is no encoding to end.
func (plain) Close() error { return nil }

// framer writes ClickHouse's compressed blocks.
type framer struct {
	w   io.Writer
	c   *chcompress.Writer
	buf []byte
}

// frameSize is the usual size of a block before compression.
const frameSize = 1 << 20

// Write collects bytes into blocks.
func (f *framer) Write(b []byte) (int, error) {
	f.buf = append(f.buf, b...)
	for len(f.buf) >= frameSize {
		if err := f.block(f.buf[:frameSize]); err != nil {
			return 0, err
		}
		f.buf = append(f.buf[:0], f.buf[frameSize:]...)
	}
	return len(b), nil
}

// Close writes the last block.
func (f *framer) Close() error {
	if len(f.buf) == 0 {
		return nil
	}
	defer func() { f.buf = nil }()
	return f.block(f.buf)
}

func (f *framer) block(b []byte) error {
	if err := f.c.Compress(b); err != nil {
		return fmt.Errorf("compressing block: %w", err)
	}
	_, err := f.w.Write(f.c.Data)
	return err
}
