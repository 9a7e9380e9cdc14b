package run

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/processors/anomaly"
	"github.com/foodflow/foodflow/processors/window"
)

// sensor is the state of one sensor. What every reading touches stands first,
// in one cache line.
type sensor struct {
	id          plant.ID
	line        *line // of lineID; nil: not looked up yet, or it has none
	first, last int32 // its readings in task.staged, noStaged when there are none
	open        bool  // in task.open
	seen        uint64
	cfg         *anomaly.Config // what the directory said at change seen; not state

	tenant, lineID plant.ID // of the last reading
	replay         window.Replay
	detector       anomaly.Detector
	minute         window.Minute
}

// noStaged ends the list of a sensor's staged readings.
const noStaged = -1

// pageSize is how many sensors are made at once.
const pageSize = 64

// sensors is the table of a slot's sensors. They lie in pages and are found by
// an index without pointers, so that a million of them cost the garbage
// collector little.
type sensors struct {
	index map[plant.ID]int32
	pages []*[pageSize]sensor
	n     int32
}

func newSensors(n int) sensors { return sensors{index: make(map[plant.ID]int32, n)} }

// at gives the i-th sensor; it never moves.
func (t *sensors) at(i int32) *sensor { return &t.pages[i/pageSize][i%pageSize] }

// find gives a sensor's place.
func (t *sensors) find(id plant.ID) (i int32, ok bool) {
	i, ok = t.index[id]
	return i, ok
}

// add makes a sensor that is not there.
func (t *sensors) add(id plant.ID) int32 {
	i := t.n
	if int(i/pageSize) == len(t.pages) {
		t.pages = append(t.pages, new([pageSize]sensor))
	}
	t.n++
	t.index[id] = i
	*t.at(i) = sensor{id: id, first: noStaged}
	return i
}

// sorted gives the places of all sensors in the order of their ids.
func (t *sensors) sorted() []int32 {
	all := make([]int32, t.n)
	for i := range all {
		all[i] = int32(i)
	}
	slices.SortFunc(all, func(a, b int32) int { return bytes.Compare(t.at(a).id[:], t.at(b).id[:]) })
	return all
}

// ranked is a sensor's place with what orders it in table readings.
type ranked struct {
	tenant, sensor uint64
	i              int32
}

// rank says where a sensor stands in the sorting key of table readings.
func (t *sensors) rank(i int32) ranked {
	s := t.at(i)
	return ranked{tenant: upper(&s.tenant), sensor: upper(&s.id), i: i}
}

// upper is the part of an id that ClickHouse looks at first: it orders UUIDs by
// their second half (documented at its data type UUID).
func upper(id *plant.ID) uint64 { return binary.BigEndian.Uint64(id[8:]) }

// arrange sorts sensors as table readings is sorted, so that ClickHouse finds
// the rows of an insert in order and need not sort them.
func (t *sensors) arrange(list []ranked) {
	slices.SortFunc(list, func(a, b ranked) int {
		if a.tenant != b.tenant {
			return less(a.tenant < b.tenant)
		}
		if a.sensor != b.sensor {
			return less(a.sensor < b.sensor)
		}
		x, y := t.at(a.i), t.at(b.i)
		if c := bytes.Compare(x.tenant[:8], y.tenant[:8]); c != 0 {
			return c
		}
		return bytes.Compare(x.id[:8], y.id[:8])
	})
}

func less(yes bool) int {
	if yes {
		return -1
	}
	return 1
}
