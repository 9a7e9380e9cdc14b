package simulate

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// journal is the file the truth is written to.
type journal struct {
	f    *os.File
	buf  []byte
	last *Run // nil: no run yet
}

// Run is one run as the journal has it.
type Run struct {
	Seed    uint64
	Origin  int64
	EveryMS int64 // mean time between planted anomalies
	Until   int64 // everything before it was acknowledged
	// Readings and Events are how many of the run were acknowledged, copies not
	// counted.
	Readings int64
	Events   int64

	records []record
}

// openJournal opens or makes the file and cuts off what follows the last mark:
// a group that was not written whole, or whose mark was not.
func openJournal(path string) (*journal, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("making the journal's folder: %w", err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the truth journal: %w", err)
	}
	runs, whole, err := readRuns(f, false)
	if err != nil {
		f.Close()
		return nil, err
	}
	j := &journal{f: f}
	if len(runs) > 0 {
		j.last = &runs[len(runs)-1]
	}
	if err := f.Truncate(whole); err != nil {
		f.Close()
		return nil, fmt.Errorf("cutting the truth journal to its last mark: %w", err)
	}
	if _, err := f.Seek(whole, io.SeekStart); err != nil {
		f.Close()
		return nil, fmt.Errorf("opening the truth journal at its end: %w", err)
	}
	return j, nil
}

// append writes a group and its mark, and syncs.
func (j *journal) append(records []record, mark record) error {
	j.buf = j.buf[:0]
	for i := range records {
		if err := j.encode(&records[i]); err != nil {
			return err
		}
	}
	if err := j.encode(&mark); err != nil {
		return err
	}
	if _, err := j.f.Write(j.buf); err != nil {
		return fmt.Errorf("writing the truth journal: %w", err)
	}
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("syncing the truth journal: %w", err)
	}
	return nil
}

func (j *journal) encode(r *record) error {
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding a truth record: %w", err)
	}
	j.buf = append(append(j.buf, line...), '\n')
	return nil
}

func (j *journal) close() error {
	if err := j.f.Close(); err != nil {
		return fmt.Errorf("closing the truth journal: %w", err)
	}
	return nil
}

// ErrNoTruth says that a journal holds nothing yet that can be judged.
var ErrNoTruth = errors.New("the truth journal holds no whole minute yet")

// ReadTruth reads the runs of a journal, up to the last mark.
func ReadTruth(r io.Reader) ([]Run, error) {
	runs, _, err := readRuns(r, true)
	if err == nil && len(runs) == 0 {
		err = ErrNoTruth
	}
	return runs, err
}

// readRuns reads up to the last mark, which ends at the offset whole. Lines
// behind it are what a crash cut off and may be torn; a torn line before it is
// an error. keep says whether the records are wanted.
func readRuns(r io.Reader, keep bool) (runs []Run, whole int64, err error) {
	in := bufio.NewReaderSize(r, 1<<20)
	var offset int64
	var group []record
	var torn error
	for number := 1; ; number++ {
		line, err := in.ReadBytes('\n')
		offset += int64(len(line))
		if errors.Is(err, io.EOF) {
			return runs, whole, nil
		}
		if err != nil {
			return nil, 0, fmt.Errorf("reading the truth journal: %w", err)
		}
		var rec record
		if err := json.Unmarshal(bytes.TrimSpace(line), &rec); err != nil {
			torn = fmt.Errorf("reading line %d of the truth journal: %w", number, err)
			continue
		}
		switch {
		case rec.T == kindMark && torn != nil:
			return nil, 0, torn
		case rec.T == kindMark:
			if runs, err = fold(runs, group, &rec, keep); err != nil {
				return nil, 0, fmt.Errorf("reading line %d of the truth journal: %w", number, err)
			}
			group, whole = group[:0], offset
		case keep || rec.T == kindRun:
			group = append(group, rec)
		}
	}
}

// fold adds a marked group to its run.
func fold(runs []Run, group []record, mark *record, keep bool) ([]Run, error) {
	for _, rec := range group {
		if rec.T == kindRun {
			runs = append(runs, Run{Seed: rec.Seed, Origin: rec.Origin, EveryMS: rec.EveryMS})
			continue
		}
		if len(runs) == 0 {
			break
		}
		last := &runs[len(runs)-1]
		last.records = append(last.records, rec)
	}
	if len(runs) == 0 {
		return nil, errors.New("a step belongs to no run")
	}
	last := &runs[len(runs)-1]
	last.Until, last.Readings, last.Events = mark.Until, mark.Readings, mark.Events
	if !keep {
		last.records = nil
	}
	return runs, nil
}
