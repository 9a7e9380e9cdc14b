package wire

import (
	"compress/gzip"
	"compress/zlib"
	"fmt"
	"io"
	"net/http"
	"strings"

	chcompress "github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// Encoder wraps an answer in the encoding the client asked for: ClickHouse's
// block framing, or one of those that accept names, which h then says. Its Close
// ends the encoding, not the answer.
func Encoder(w io.Writer, h http.Header, framed bool, accept string) (io.WriteCloser, error) {
	if framed {
		return &framer{w: w, c: chcompress.NewWriter(chcompress.LevelZero, chcompress.LZ4)}, nil
	}
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
