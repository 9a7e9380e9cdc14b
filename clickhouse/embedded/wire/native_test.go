package wire_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"testing"
	"time"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"

	"github.com/foodflow/foodflow/clickhouse/embedded/wire"
)

// native is a block of revision 0 with one column.
func native(kind string, rows byte, data ...byte) []byte {
	b := append([]byte{1, rows, 1, 'c', byte(len(kind))}, kind...)
	return append(b, data...)
}

// longs are numbers as Native has them.
func longs(vs ...uint64) (b []byte) {
	for _, v := range vs {
		b = binary.LittleEndian.AppendUint64(b, v)
	}
	return b
}

// decodes runs the library's decoder alone and says whether it panicked.
func decodes(b []byte) (panicked bool) {
	defer func() { panicked = recover() != nil }()
	block := proto.Block{ServerContext: &column.ServerContext{Timezone: time.UTC}}
	_ = block.Decode(chproto.NewReader(bytes.NewReader(b)), 0) // whether it comes back is the question
	return false
}

// TestDamagedBlocks: none ends the process. Control: the library's decoder alone
// panics at some of them. What claims more bytes than there is memory isn't among
// them: no program outlives that, and the engine is no stranger.
func TestDamagedBlocks(t *testing.T) {
	panics := 0
	for name, b := range map[string][]byte{
		"a length below nothing":          native("FixedString(-1)", 1, 1, 2, 3),
		"a type that breaks off":          native("SimpleAggregateFunction(", 1, 1),
		"a type that nobody knows":        native("Nothing3", 1, 1),
		"a type without its parts":        native("Map(String)", 1, longs(1)...),
		"a version that nobody knows":     native("Dynamic", 1, longs(197121)...),
		"fewer rows than it says":         native("UInt64", 3, longs(1, 2)...),
		"a dictionary of another version": native("LowCardinality(String)", 1, longs(7, 7, 7)...),
		"a text that breaks off":          native("String", 1, 100, 'x'),
	} {
		if decodes(b) {
			panics++
		}
		var out bytes.Buffer
		if err := wire.Transcode(&out, bytes.NewReader(b), 54460); err == nil || out.Len() > 0 {
			t.Errorf("%s: %v, %d bytes", name, err, out.Len())
		}
	}
	if panics == 0 {
		t.Error("the library's decoder never panics: nothing is shown")
	}
	t.Logf("at %d of them the library's decoder panics", panics)
}

// TestTranscode rewrites whole blocks, one after the other, and tells one that is
// cut off from the end.
func TestTranscode(t *testing.T) {
	whole := native("Array(String)", 2, append(longs(1, 2), 1, 'x', 1, 'y')...)
	var out bytes.Buffer
	if err := wire.Transcode(&out, io.MultiReader(bytes.NewReader(whole), bytes.NewReader(whole)), 54460); err != nil {
		t.Fatal(err)
	}
	r := chproto.NewReader(&out)
	for range 2 {
		block := proto.Block{ServerContext: &column.ServerContext{Revision: 54460, Timezone: time.UTC}}
		if err := block.Decode(r, 54460); err != nil || block.Rows() != 2 {
			t.Fatalf("%v, %d rows", err, block.Rows())
		}
	}
	for cut := 1; cut < len(whole); cut++ {
		if err := wire.Transcode(io.Discard, bytes.NewReader(whole[:cut]), 54460); err == nil {
			t.Errorf("a block cut after %d bytes of %d was taken for whole", cut, len(whole))
		}
	}
}
