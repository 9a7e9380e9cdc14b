package httpin

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/foodflow/foodflow/internal/fault"
)

// maxWindow bounds the memory a zstd stream may ask for.
const maxWindow = 8 << 20

// maxKeptBody is how much memory a buffer may keep between requests.
const maxKeptBody = 4 << 20

// body reads the request's body whole, decompressed, within the limits.
func (s *Server) body(r *http.Request) ([]byte, func(), error) {
	limits := s.svc.Limits()
	if r.ContentLength > limits.Body {
		return nil, nil, tooLarge(limits.Body)
	}
	raw := &bounded{r: r.Body, left: limits.Body, limit: limits.Body}
	var src io.Reader = raw
	limit := limits.Body
	switch enc := strings.ToLower(r.Header.Get("Content-Encoding")); enc {
	case "", "identity":
	case "gzip":
		z, err := gzip.NewReader(raw)
		if err != nil {
			return nil, nil, unreadable(err)
		}
		src, limit = z, limits.Decoded
	case "zstd":
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true))
		if err != nil {
			return nil, nil, unreadable(err)
		}
		defer z.Close()
		src, limit = z, limits.Decoded
	default:
		return nil, nil, fault.New(fault.UnsupportedMedia, "Content-Encoding must be gzip or zstd")
	}
	buf, _ := s.bodies.Get().(*bytes.Buffer)
	buf.Reset()
	if n := r.ContentLength; n > 0 {
		buf.Grow(int(n) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(&bounded{r: src, left: limit, limit: limit}); err != nil {
		return nil, nil, unreadable(err)
	}
	return buf.Bytes(), func() {
		if buf.Cap() <= maxKeptBody {
			s.bodies.Put(buf)
		}
	}, nil
}

// bounded reads at most limit bytes and fails past them.
type bounded struct {
	r           io.Reader
	left, limit int64
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
