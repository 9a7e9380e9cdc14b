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
// writes them, into blocks of the client's revision.
func Transcode(dst io.Writer, src io.Reader, revision uint64) error {
	r := chproto.NewReader(bufio.NewReaderSize(src, 1<<20))
	var buf chproto.Buffer
	for {
		block := proto.Block{ServerContext: &column.ServerContext{Revision: 0, Timezone: time.UTC}}
		if err := block.Decode(r, 0); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return fmt.Errorf("reading native block: %w", err)
		}
		buf.Reset()
		if err := block.Encode(&buf, revision); err != nil {
			return fmt.Errorf("writing native block: %w", err)
		}
		if _, err := dst.Write(buf.Buf); err != nil {
			return err
		}
	}
}
