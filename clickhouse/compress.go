package clickhouse

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// compress packs what it reads from src. The goroutine that packs ends when src
// does or the result is closed, and close waits for it: src is the caller's
// again afterwards.
func compress(src io.Reader, method string) io.ReadCloser {
	pr, pw := io.Pipe()
	p := &packed{PipeReader: pr, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		pw.CloseWithError(pack(pw, src, method))
	}()
	return p
}

type packed struct {
	*io.PipeReader
	done chan struct{} // closed by the packing goroutine at its end
}

// Close gives the source back.
func (p *packed) Close() error {
	err := p.PipeReader.Close()
	<-p.done
	return err
}

func pack(dst io.Writer, src io.Reader, method string) error {
	var w io.WriteCloser = lz4.NewWriter(dst)
	if method == "zstd" {
		z, err := zstd.NewWriter(dst, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1))
		if err != nil {
			return fmt.Errorf("compressing: %w", err)
		}
		w = z
	}
	// Without a source's WriteTo: a whole column in one write is more than an
	// encoder should hold.
	_, err := io.Copy(w, struct{ io.Reader }{src})
	if err != nil {
		return errors.Join(fmt.Errorf("compressing: %w", err), w.Close())
	}
	return w.Close()
}
