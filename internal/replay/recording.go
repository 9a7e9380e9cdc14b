package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"
)

// MaxRows bounds a recording.
const MaxRows = 20_000_000

// Row is one value of a recording.
type Row struct {
	TS    int64 // Unix milliseconds
	Value float64
}

// Columns name the columns of a recording; "" is the first one whose name is
// usual (time: timestamp, time, ts, datetime, date; value: value), and for the
// value else the first that is not the time.
type Columns struct{ Time, Value string }

//go:embed data/machine_temperature.csv.zst
var machineTemperature []byte

// MachineTemperature is the recording that is part of the program; data/README.md
// says what it is.
func MachineTemperature() ([]Row, error) {
	return Read(bytes.NewReader(machineTemperature), Columns{})
}

// Read reads a recording: CSV with a header, plain, gzip or zstd.
func Read(r io.Reader, c Columns) ([]Row, error) {
	plain, done, err := decompress(r)
	if err != nil {
		return nil, err
	}
	defer done()
	in := csv.NewReader(plain)
	in.ReuseRecord = true
	in.TrimLeadingSpace = true
	header, err := in.Read()
	if err != nil {
		return nil, fmt.Errorf("reading the recording's header: %w", err)
	}
	at, value, err := c.find(header)
	if err != nil {
		return nil, err
	}
	var rows []Row
	sorted := true
	for {
		fields, err := in.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fmt.Errorf("reading the recording: %w", err)
		}
		if len(rows) == MaxRows {
			return nil, fmt.Errorf("reading the recording: more than %d rows", MaxRows)
		}
		line, _ := in.FieldPos(0)
		if fields[value] == "" {
			continue // a gap, as loggers write it
		}
		row, err := parseRow(fields[at], fields[value])
		if err != nil {
			return nil, fmt.Errorf("reading line %d of the recording: %w", line, err)
		}
		sorted = sorted && (len(rows) == 0 || rows[len(rows)-1].TS <= row.TS)
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil, errors.New("the recording has no rows")
	}
	if !sorted {
		sort.SliceStable(rows, func(i, j int) bool { return rows[i].TS < rows[j].TS })
	}
	return rows, nil
}

func (c Columns) find(header []string) (at, value int, err error) {
	names := make([]string, len(header))
	for i, h := range header {
		names[i] = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(h, "\ufeff")))
	}
	find := func(name string, usual []string) int {
		if name != "" {
			return slices.Index(names, strings.ToLower(name))
		}
		for _, u := range usual {
			if i := slices.Index(names, u); i >= 0 {
				return i
			}
		}
		return -1
	}
	if at = find(c.Time, []string{"timestamp", "time", "ts", "datetime", "date"}); at < 0 {
		return 0, 0, fmt.Errorf("the recording has no column for the time among %q", header)
	}
	value = find(c.Value, []string{"value"})
	if value < 0 && c.Value == "" && len(names) > 1 {
		value = 0
		if at == 0 {
			value = 1
		}
	}
	if value < 0 || value == at {
		return 0, 0, fmt.Errorf("the recording has no column for the value among %q", header)
	}
	return at, value, nil
}

func parseRow(at, value string) (Row, error) {
	ts, err := parseTime(strings.TrimSpace(at))
	if err != nil {
		return Row{}, err
	}
	v, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
	if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
		return Row{}, fmt.Errorf("%q is not a finite number", value)
	}
	return Row{ts, v}, nil
}

func parseTime(s string) (int64, error) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UnixMilli(), nil
		}
	}
	// A number is seconds up to the year 5138, milliseconds beyond.
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && n > 0 {
		if n < 100_000_000_000 {
			n *= 1000
		}
		return n, nil
	}
	return 0, fmt.Errorf("%q is neither RFC 3339 nor 2006-01-02 15:04:05", s)
}

func decompress(r io.Reader) (io.Reader, func(), error) {
	in := bufio.NewReader(r)
	head, err := in.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, nil, fmt.Errorf("reading the recording: %w", err)
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, nil, fmt.Errorf("opening a zstd recording: %w", err)
		}
		return z, z.Close, nil
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, nil, fmt.Errorf("opening a gzip recording: %w", err)
		}
		return z, func() { z.Close() }, nil
	}
	return in, func() {}, nil
}
