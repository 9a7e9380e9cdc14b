package wire

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"
)

// Transcode rewrites a stream of Native blocks of revision 0, as the engine
// writes them, into blocks of the client's revision. A block that is damaged is an
// error, and nothing of it is written.
func Transcode(dst io.Writer, src io.Reader, revision uint64) error {
	// The block reader takes this buffer for its own, so that a look at it tells the
	// end of the stream from one inside a block.
	ahead := bufio.NewReaderSize(src, 1<<20)
	r := chproto.NewReader(ahead)
	var buf chproto.Buffer
	for {
		switch _, err := ahead.Peek(1); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("reading native block: %w", err)
		}
		buf.Reset()
		if err := reencode(&buf, r, revision); err != nil {
			return err
		}
		if _, err := dst.Write(buf.Buf); err != nil {
			return err
		}
	}
}

// reencode rewrites one block. The decoders of columns trust what they read, and some panic at what can't be.
func reencode(buf *chproto.Buffer, r *chproto.Reader, revision uint64) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("reading native block: it is damaged: %v", p)
		}
	}()
	block := proto.Block{ServerContext: &column.ServerContext{Revision: 0, Timezone: time.UTC}}
	if err := block.Decode(r, 0); err != nil {
		return fmt.Errorf("reading native block: %w", err)
	}
	if err := block.Encode(buf, revision); err != nil {
		return fmt.Errorf("writing native block: %w", err)
	}
	return nil
}
