package snapshot

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"testing"
)

func chunkOf(id byte, number, count uint32, part string) []byte {
	v := bytes.Repeat([]byte{id}, 16)
	v = binary.BigEndian.AppendUint32(v, number)
	v = binary.BigEndian.AppendUint32(v, count)
	v = binary.BigEndian.AppendUint32(v, crc32.Checksum([]byte(part), crc32.MakeTable(crc32.Castagnoli)))
	return append(v, part...)
}

// TestDamagedChunksAreRefused: a chunk that is cut, altered, missing or of a
// count that can't be is an error, never half a state.
func TestDamagedChunksAreRefused(t *testing.T) {
	altered := chunkOf(1, 0, 2, "first")
	altered[len(altered)-1]++
	for name, chunks := range map[string][][]byte{
		"cut":               {chunkOf(1, 0, 2, "")[:HeadSize-1]},
		"altered":           {altered},
		"missing":           {chunkOf(1, 0, 3, "first"), chunkOf(1, 2, 3, "third")},
		"other count":       {chunkOf(1, 0, 2, "first"), chunkOf(1, 1, 3, "second")},
		"of no chunks":      {chunkOf(1, 0, 0, "first")},
		"begins in the mid": {chunkOf(1, 1, 2, "second")},
	} {
		var a assembly
		var err error
		for _, c := range chunks {
			if err = a.add(c); err != nil {
				break
			}
		}
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestChunksStoredTwice: a producer that had no answer sent chunks again, and the
// broker took them for new ones.
func TestChunksStoredTwice(t *testing.T) {
	a, b, c := chunkOf(1, 0, 3, "a"), chunkOf(1, 1, 3, "b"), chunkOf(1, 2, 3, "c")
	for _, chunks := range [][][]byte{{a, b, b, c}, {a, b, a, b, c}, {a, a, a, b, c}} {
		var got assembly
		for i, v := range chunks {
			if err := got.add(v); err != nil {
				t.Fatalf("chunk %d of %d: %v", i, len(chunks), err)
			}
		}
		if got.have != 3 || string(got.state) != "abc" {
			t.Errorf("%d chunks, %q", got.have, got.state)
		}
	}
}

// FuzzChunks splits what it is given into chunks: a state comes out whole or
// not at all.
func FuzzChunks(f *testing.F) {
	f.Add(append(chunkOf(1, 0, 2, "first"), chunkOf(1, 1, 2, "other")...), uint16(HeadSize+5))
	f.Add(append(chunkOf(1, 0, 1, "first"), chunkOf(2, 0, 1, "other")...), uint16(HeadSize+5))
	f.Add(chunkOf(1, 0, 0, ""), uint16(HeadSize))
	f.Fuzz(func(t *testing.T, b []byte, size uint16) {
		var a assembly
		var want []byte
		for n := max(1, int(size)); len(b) > 0; b = b[min(n, len(b)):] {
			v := b[:min(n, len(b))]
			had := a.have
			if a.add(v) != nil {
				return
			}
			if a.have > had {
				want = append(want, v[HeadSize:]...)
			}
			if a.have > a.want || !bytes.Equal(a.state, want) {
				t.Fatalf("%d of %d chunks, %q of %q", a.have, a.want, a.state, want)
			}
			if a.have == a.want {
				return
			}
		}
	})
}
