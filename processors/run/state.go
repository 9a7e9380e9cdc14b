package run

import (
	"bytes"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/processors/window"
)

// stateVersion is the first byte of a slot's state. Version 1 had no times, and
// the windows of 1 and 2 are of their own first version. What is folded since a
// state of 3 or less was stored may have been folded by a program that kept open
// minutes as long as it was under load; until the next state it is folded so
// again, or minutes would be handed out in silence.
const (
	stateVersion = 4
	firstSwept   = 4
)

var errState = errors.New("malformed slot state")

func sortedLines(m map[plant.ID]*line) []plant.ID {
	return slices.SortedFunc(maps.Keys(m), func(a, b plant.ID) int { return bytes.Compare(a[:], b[:]) })
}

// AppendState appends the state of every sensor and line, in order of their ids,
// so that equal states are equal bytes. It may be called between batches only.
func (t *task) AppendState(b []byte) ([]byte, error) {
	t.unswept = false
	return t.appendState(b, t.sensors.sorted(), sortedLines(t.lines)), nil
}

func (t *task) appendState(b []byte, sensors []int32, lines []plant.ID) []byte {
	b = append(b, stateVersion)
	b = binary.AppendVarint(binary.AppendVarint(b, t.now), t.handed)
	b = binary.AppendUvarint(b, uint64(len(sensors)))
	for _, i := range sensors {
		s := t.sensors.at(i)
		b = append(append(append(b, s.id[:]...), s.tenant[:]...), s.lineID[:]...)
		b = s.minute.AppendState(s.detector.AppendState(s.replay.AppendState(b)))
	}
	b = binary.AppendUvarint(b, uint64(len(lines)))
	for _, id := range lines {
		l := t.lines[id]
		b = append(append(b, id[:]...), l.tenant[:]...)
		b = l.ledger.AppendState(binary.AppendVarint(b, l.sign))
	}
	return b
}

// Purge drops the state of tenants that are being deleted. It copies what stays,
// since a sensor's place never changes; that is for once in a tenant's life.
func (t *task) Purge() (bool, error) {
	n := t.deps.Directory.Deletions()
	if n == t.deletions {
		return false, nil
	}
	gone := t.deps.Directory.Deleting
	sensors := slices.DeleteFunc(t.sensors.sorted(), func(i int32) bool { return gone(t.sensors.at(i).tenant) })
	lines := slices.DeleteFunc(sortedLines(t.lines), func(id plant.ID) bool { return gone(t.lines[id].tenant) })
	if len(sensors) == int(t.sensors.n) && len(lines) == len(t.lines) {
		t.deletions = n
		return false, nil
	}
	if err := t.RestoreState(t.appendState(nil, sensors, lines)); err != nil {
		return false, err
	}
	t.deletions = n
	return true, nil
}

// RestoreState reads what AppendState wrote.
func (t *task) RestoreState(b []byte) error {
	if len(b) == 0 || b[0] == 0 || b[0] > stateVersion {
		return errState
	}
	version, b := b[0], b[1:]
	t.unswept = version < firstSwept
	for _, at := range []*int64{&t.now, &t.handed} {
		if version == 1 {
			break
		}
		v, size := binary.Varint(b)
		if size <= 0 {
			return errState
		}
		*at, b = v, b[size:]
	}
	windows := window.StateVersion
	if version < 3 {
		windows = 1
	}
	n, b, err := length(b)
	if err != nil {
		return err
	}
	t.sensors, t.windows, t.open = newSensors(n), 0, nil
	for range n {
		if len(b) < 48 {
			return errState
		}
		i := t.sensors.add(plant.ID(b[:16]))
		s := t.sensors.at(i)
		s.tenant, s.lineID = plant.ID(b[16:32]), plant.ID(b[32:48])
		if b, err = s.replay.RestoreState(b[48:], windows); err != nil {
			return err
		}
		if b, err = s.detector.RestoreState(b); err != nil {
			return err
		}
		if b, err = s.minute.RestoreState(b); err != nil {
			return err
		}
		if s.open = s.minute.Open(); s.open {
			t.open = append(t.open, i)
		}
		t.windows += s.replay.Size()
	}
	if n, b, err = length(b); err != nil {
		return err
	}
	t.lines = make(map[plant.ID]*line, n)
	for range n {
		if len(b) < 32 {
			return errState
		}
		l := &line{id: plant.ID(b[:16]), tenant: plant.ID(b[16:32])}
		sign, size := binary.Varint(b[32:])
		if size <= 0 {
			return errState
		}
		l.sign = sign
		if b, err = l.ledger.RestoreState(b[32+size:]); err != nil {
			return err
		}
		t.lines[l.id] = l
	}
	if len(b) > 0 {
		return errState
	}
	return nil
}

// length reads a number of items of at least sixteen bytes each.
func length(b []byte) (int, []byte, error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b))/16 {
		return 0, nil, errState
	}
	return int(n), b[size:], nil
}
