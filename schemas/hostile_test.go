package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

// rawContainer frames header and blocks by hand.
func rawContainer(schema, codec string, blocks ...[]byte) []byte {
	b := []byte("Obj\x01")
	b = appendLong(b, 2)
	for _, s := range []string{"avro.schema", schema, "avro.codec", codec} {
		b = appendText(b, s)
	}
	b = append(b, 0)
	sync := bytes.Repeat([]byte{7}, 16)
	b = append(b, sync...)
	for _, bl := range blocks {
		b = append(append(b, bl...), sync...)
	}
	return b
}

func block(count, size int64, body ...byte) []byte {
	return append(appendLong(appendLong(nil, count), size), body...)
}

const plainSchema = `{"type":"record","name":"R","fields":[{"name":"sensor","type":"string"},{"name":"ts","type":"long"},{"name":"value","type":"double"}]}`

func withField(f string) string { return strings.Replace(plainSchema, "]}", ","+f+"]}", 1) }

// TestHostileContainers: each is refused by the right error, and none makes the
// reader take much more memory than the file has bytes (S12).
func TestHostileContainers(t *testing.T) {
	for name, tc := range hostileContainers(t) {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := readings(tc.file, DefaultContainerLimits())
			runtime.ReadMemStats(&after)
			if !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
			if took := after.TotalAlloc - before.TotalAlloc; took > 64<<20 {
				t.Errorf("took %d MiB for a file of %d bytes", took>>20, len(tc.file))
			}
		})
	}
}

// hostile is a file and the error that it must end in.
type hostile struct {
	file []byte
	want error
}

func hostileContainers(t testing.TB) map[string]hostile {
	record := append(appendLong(appendText(nil, "s"), 1), make([]byte, 8)...)
	deep := strings.Repeat(`{"type":"array","items":`, 5000) + `"int"` + strings.Repeat("}", 5000)
	var doubling []string
	for i := range 40 {
		doubling = append(doubling, fmt.Sprintf(`{"type":"record","name":"D%d","fields":[{"name":"a","type":"D%d"},{"name":"b","type":"D%d"}]}`, i, i+1, i+1))
	}
	wide := make([]string, 100)
	for i := range wide {
		wide[i] = fmt.Sprintf(`{"name":"n%d","type":"null"}`, i)
	}
	cases := map[string]hostile{
		"empty":                 {nil, ErrContainer},
		"not avro":              {[]byte(`{"readings":[]}`), ErrContainer},
		"header cut":            {rawContainer(plainSchema, "null")[:60], ErrContainer},
		"header too large":      {rawContainer(plainSchema+strings.Repeat(" ", 100<<10), "null"), ErrTooLarge},
		"schema length lies":    {append([]byte("Obj\x01\x02"), 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), ErrTooLarge},
		"endless metadata":      {append([]byte("Obj\x01"), 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0, 0, 0, 0), ErrContainer},
		"no schema":             {append([]byte("Obj\x01\x00"), make([]byte, 16)...), ErrContainerSchema},
		"schema no JSON":        {rawContainer("{", "null"), ErrContainerSchema},
		"schema a string":       {rawContainer(`"string"`, "null"), ErrContainerSchema},
		"field missing":         {rawContainer(strings.Replace(plainSchema, "value", "valve", 1), "null"), ErrContainerSchema},
		"field of wrong type":   {rawContainer(strings.Replace(plainSchema, `"double"`, `"string"`, 1), "null"), ErrContainerSchema},
		"null where required":   {rawContainer(strings.Replace(plainSchema, `"double"`, `["null","double"]`, 1), "null"), ErrContainerSchema},
		"field twice":           {rawContainer(withField(`{"name":"ts","type":"long"}`), "null"), ErrContainerSchema},
		"recursive":             {rawContainer(withField(`{"name":"r","type":["null","R"]}`), "null"), ErrContainerSchema},
		"nested record":         {rawContainer(withField(`{"name":"r","type":{"type":"record","name":"N","fields":[]}}`), "null"), ErrContainerSchema},
		"doubling records":      {rawContainer(withField(`{"name":"r","type":[`+strings.Join(doubling, ",")+`]}`), "null"), ErrContainerSchema},
		"deep arrays":           {rawContainer(withField(`{"name":"r","type":`+deep+`}`), "null"), ErrTooLarge},
		"array of nulls":        {rawContainer(withField(`{"name":"r","type":{"type":"array","items":"null"}}`), "null"), ErrContainerSchema},
		"many nulls":            {rawContainer(withField(strings.Join(wide, ",")), "null"), ErrContainerSchema},
		"giant fixed":           {rawContainer(withField(`{"name":"r","type":{"type":"fixed","name":"F","size":2000000000}}`), "null"), ErrContainerSchema},
		"negative fixed":        {rawContainer(withField(`{"name":"r","type":{"type":"fixed","name":"F","size":-1}}`), "null"), ErrContainerSchema},
		"codec unknown":         {rawContainer(plainSchema, "bzip2"), ErrContainerSchema},
		"block cut":             {rawContainer(plainSchema, "null", block(1, 100, record...)), ErrContainer},
		"block length lies":     {rawContainer(plainSchema, "null", block(1, 1<<40)), ErrTooLarge},
		"block length in limit": {rawContainer(plainSchema, "null", block(1, 4<<20)), ErrContainer},
		"negative size":         {rawContainer(plainSchema, "null", block(1, -5)), ErrContainer},
		"negative count":        {rawContainer(plainSchema, "null", block(-1, int64(len(record)), record...)), ErrContainer},
		"count lies":            {rawContainer(plainSchema, "null", block(1<<60, int64(len(record)), record...)), ErrContainer},
		"one record too many":   {rawContainer(plainSchema, "null", block(2, int64(len(record)), record...)), ErrBody},
		"left over":             {rawContainer(plainSchema, "null", block(1, int64(len(record)+1), append(record[:len(record):len(record)], 0)...)), ErrBody},
		"text length lies":      {rawContainer(plainSchema, "null", block(1, 10, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0, 0)), ErrBody},
		"overlong varint":       {rawContainer(plainSchema, "null", block(1, 14, append([]byte{2, 's'}, bytes.Repeat([]byte{0xff}, 12)...)...)), ErrBody},
		"not UTF-8":             {rawContainer(plainSchema, "null", block(1, 11, append([]byte{2, 0xff, 2}, make([]byte, 8)...)...)), ErrBody},
		"enum out of range":     {rawContainer(withField(`{"name":"quality","type":{"type":"enum","name":"Q","symbols":["a"]}}`), "null", block(1, int64(len(record)+1), append(record[:len(record):len(record)], 4)...)), ErrBody},
		"snappy length lies":    {rawContainer(plainSchema, "snappy", block(1, 12, 0xff, 0xff, 0xff, 0x01, 0, 0, 0, 0, 0, 0, 0, 0)), ErrContainer},
		"int past 32 bits":      {rawContainer(strings.Replace(plainSchema, "long", "int", 1), "null", block(1, 15, append([]byte{2, 's', 0xfe, 0xff, 0xff, 0xff, 0x7f}, make([]byte, 8)...)...)), ErrBody},
		"boolean of 2":          {rawContainer(withField(`{"name":"b","type":"boolean"}`), "null", block(1, int64(len(record)+1), append(record[:len(record):len(record)], 2)...)), ErrBody},
		"sync marker":           {append(rawContainer(plainSchema, "null", block(1, int64(len(record)), record...))[:len(rawContainer(plainSchema, "null", block(1, int64(len(record)), record...)))-1], 8), ErrContainer},
		"snappy checksum":       {rawContainer(plainSchema, "snappy", block(1, 7, 1, 0, 'a', 0, 0, 0, 0)), ErrContainer},
		"deflate garbage":       {rawContainer(plainSchema, "deflate", block(1, 4, 0xff, 0xff, 0xff, 0xff)), ErrContainer},
		"zstd garbage":          {rawContainer(plainSchema, "zstandard", block(1, 4, 0xff, 0xff, 0xff, 0xff)), ErrContainer},
		"zstd giant window":     {rawContainer(plainSchema, "zstandard", block(1, 9, 0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00)), ErrTooLarge},
	}
	zeros := map[string]any{"sensor": strings.Repeat("0", 64<<20), "ts": int64(1), "value": 1.0}
	for _, codec := range []string{"deflate", "zstandard", "snappy"} {
		cases[codec+" bomb"] = hostile{container(t, codec, plainSchema, zeros), ErrTooLarge}
	}
	return cases
}

// TestSnappyLengthIsNotBelieved: a block of a dozen bytes that promises 4 MiB
// gets no memory for them.
func TestSnappyLengthIsNotBelieved(t *testing.T) {
	lie := []byte{0xff, 0xff, 0xff, 0x01, 0, 0, 0, 0, 0, 0, 0, 0}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := snap{limit: 4 << 20}.inflate(nil, lie)
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, ErrContainer) || took > 1<<20 {
		t.Errorf("%v, and %d bytes taken", err, took)
	}
}
