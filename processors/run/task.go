package run

import (
	"context"

	"github.com/foodflow/foodflow/clickhouse/sink"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/stream"
	"github.com/foodflow/foodflow/processors/anomaly"
	"github.com/foodflow/foodflow/processors/oee"
	"github.com/foodflow/foodflow/schemas"
)

// The inputs of a slot, in the order in which a batch folds them: events first,
// so that a reading finds its line in the state it was in.
const (
	inputEvents = iota
	inputReadings
)

// Inputs are the topics of the job.
func Inputs() []string { return []string{broker.TopicLineEvents, broker.TopicReadings} }

// Inserter puts a block into ClickHouse under a token.
type Inserter interface {
	Insert(ctx context.Context, b sink.Block, token string) error
}

// Publisher publishes messages and waits for their acks.
type Publisher interface {
	Publish(ctx context.Context, msgs []broker.Message) error
}

// Deps are what the tasks of a process share.
type Deps struct {
	Codec     *schemas.Codec
	Directory *directory.Store
	Sink      Inserter
	Publisher Publisher
	Metrics   *Metrics
}

// line is the state of one line.
type line struct {
	tenant, id plant.ID
	ledger     oee.Line
	sign       int64 // last second that a reading signalled
	cfg        *oee.Config
	seen       uint64
	touched    bool // in task.touched
}

// task is the state and open output of one slot.
type task struct {
	deps Deps
	slot stream.Slot

	sensors sensors
	windows int // bytes of all sensors' anti-replay windows
	lines   map[plant.ID]*line
	open    []int32 // sensors with readings summed up but not handed out
	now     int64   // the newest time of the broker at a reading, ms
	handed  int64   // now when open was handed out or walked last
	unswept bool    // the state is of a version that kept open minutes under load
	touched []*line // since the last Settle, in order of their first record

	staged []staged // the batch's readings, in order of arrival
	batch  []ranked // the sensors that have some

	readings  *sink.Readings
	events    *sink.LineEvents
	anomalies *sink.Anomalies
	parts     *sink.OEEParts
	minutes   *sink.Minutes
	messages  []broker.Message
	limits    []limitMessage // those of messages that limits found
	again     repeats
	counts    counts

	deletions uint64 // directory.Store.Deletions at the last Purge

	configs configs
	found   anomaly.Findings
	reading plant.Reading
	event   plant.LineEvent
}

// counts are what a batch adds to the metrics once it is durable.
type counts struct{ readings, copies, unknown, events, anomalies, parts int }

// NewTask makes the task of a slot.
func NewTask(deps Deps, slot stream.Slot) stream.Task {
	return &task{
		deps: deps, slot: slot, sensors: newSensors(0), lines: map[plant.ID]*line{}, configs: configs{directory: deps.Directory},
		readings: sink.NewReadings(), events: sink.NewLineEvents(), anomalies: sink.NewAnomalies(), parts: sink.NewOEEParts(), minutes: sink.NewMinutes(),
	}
}

// A slot's anti-replay windows span a quarter of an hour of each sensor while
// they fit the budget together, and half a minute beyond it: a plant of some thousand
// sensors is protected for long, one of a million within a KiB a sensor.
const (
	windowBudget = 32 << 20
	longHorizon  = 15 * 60_000
	shortHorizon = 30_000
)

func (t *task) horizon() int64 {
	if t.windows < windowBudget {
		return longHorizon
	}
	return shortHorizon
}

// sensor gives the place of a sensor's state.
func (t *task) sensor(id plant.ID) int32 {
	i, ok := t.sensors.find(id)
	if !ok {
		i = t.sensors.add(id)
		t.windows += t.sensors.at(i).replay.Size()
	}
	return i
}

// line gives a line's state with its configuration as the directory has it now.
func (t *task) line(tenant, id plant.ID) *line {
	l := t.lines[id]
	if l == nil {
		l = &line{tenant: tenant, id: id}
		t.lines[id] = l
	}
	t.refresh(l)
	return l
}

func (t *task) refresh(l *line) {
	if changes := t.deps.Directory.Changes(); l.cfg == nil || l.seen != changes {
		d, _ := t.deps.Directory.LineByID(l.id)
		l.cfg, l.seen = lineConfig(t.deps.Directory, d), changes
	}
}

func (t *task) touch(l *line) {
	if !l.touched {
		l.touched = true
		t.touched = append(t.touched, l)
	}
}

// Unsettled says that minutes or repeats are held back.
func (t *task) Unsettled() bool { return len(t.open) > 0 || len(t.again.list) > 0 }

// Release has nothing to give back.
func (t *task) Release() {}
