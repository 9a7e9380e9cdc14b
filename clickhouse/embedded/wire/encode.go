package wire

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	chcompress "github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zlib"
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
	for _, enc := range []string{"zstd", "br", "lz4", "gzip", "deflate"} { // ClickHouse's order
		if !accepts(accept, enc) {
			continue
		}
		h.Set("Content-Encoding", enc)
		switch enc {
		case "zstd":
			return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
		case "br":
			return brotli.NewWriterLevel(w, brotli.BestSpeed), nil
		case "lz4":
			return lz4.NewWriter(w), nil
		case "gzip":
			return gzip.NewWriterLevel(w, zlibLevel)
		case "deflate":
			return zlib.NewWriterLevel(w, zlibLevel)
		}
	}
	return plain{w}, nil
}

// zlibLevel is ClickHouse's default of http_zlib_compression_level.
const zlibLevel = 3

// accepts says whether an Accept-Encoding names enc and doesn't refuse it.
func accepts(accept, enc string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		name, quality, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), enc) {
			q, weighted := strings.CutPrefix(strings.ReplaceAll(quality, " ", ""), "q=")
			f, err := strconv.ParseFloat(q, 64)
			return !weighted || err != nil || f > 0
		}
	}
	return false
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
