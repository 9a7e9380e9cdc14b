package simulate

import "github.com/foodflow/foodflow/internal/plant"

// The kinds of a record of the journal.
const (
	kindRun      = "run"
	kindMark     = "mark"
	kindReadings = "readings"
	kindState    = "state"
	kindEvents   = "events"
	kindOEE      = "oee"
	kindPlanted  = "planted"
)

// record is one line of the journal; T says which members it has.
type record struct {
	T string `json:"t"`

	// run: what begins here. mark: Until when all is acknowledged, and how many
	// readings and events of this run that were.
	Seed     uint64 `json:"seed,omitempty"`
	Origin   int64  `json:"origin,omitempty"`
	EveryMS  int64  `json:"every_ms,omitempty"`
	Until    int64  `json:"until,omitempty"`
	Readings int64  `json:"readings,omitempty"`
	Events   int64  `json:"events,omitempty"`

	// readings: of Sensor in Minute. events and oee: of Line in Minute.
	Sensor string  `json:"sensor,omitempty"`
	Line   string  `json:"line,omitempty"`
	Minute int64   `json:"minute,omitempty"`
	Count  int64   `json:"count,omitempty"`
	Valid  int64   `json:"valid,omitempty"`
	Sum    float64 `json:"sum,omitempty"`
	Min    float64 `json:"min,omitempty"`
	Max    float64 `json:"max,omitempty"`
	States int64   `json:"states,omitempty"`
	Counts int64   `json:"counts,omitempty"`

	// state: From, To. planted: Sensor, Kind, From, To.
	From    int64  `json:"from,omitempty"`
	To      int64  `json:"to,omitempty"`
	State   string `json:"state,omitempty"`
	Reason  string `json:"reason,omitempty"`
	Product string `json:"product,omitempty"`
	Kind    Kind   `json:"kind,omitempty"`

	OEE *figure `json:"oee,omitempty"`
}

// figure is what a minute of a line and product must come to.
type figure struct {
	TimeMS  [plant.NumTimeClasses]int64 `json:"time_ms"`
	BusyMS  int64                       `json:"busy_ms"`
	RunMS   int64                       `json:"run_ms"`
	Total   float64                     `json:"total"`
	Good    float64                     `json:"good"`
	Scrap   float64                     `json:"scrap"`
	IdealMS float64                     `json:"ideal_total_ms"`
	GoodMS  float64                     `json:"ideal_good_ms"`
}

// tally collects a sensor's readings of one minute.
type tally struct {
	minute       int64
	count, valid int64
	sum          float64
	min, max     float64
}

func (t *tally) add(value float64, q plant.Quality) {
	t.count++
	if q == plant.QualityBad {
		return
	}
	if t.valid == 0 || value < t.min {
		t.min = value
	}
	if t.valid == 0 || value > t.max {
		t.max = value
	}
	t.valid++
	t.sum += value
}

func (t *tally) record(sensor string) record {
	return record{T: kindReadings, Sensor: sensor, Minute: t.minute, Count: t.count, Valid: t.valid, Sum: t.sum, Min: t.min, Max: t.max}
}
