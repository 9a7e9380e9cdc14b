package sink

import "github.com/foodflow/foodflow/internal/plant"

// Column types as ClickHouse names them.
const (
	typUUID    = "UUID"
	typTime    = "DateTime64(3, 'UTC')"
	typMinute  = "DateTime('UTC')"
	typFloat64 = "Float64"
	typFloat32 = "Float32"
	typInt64   = "Int64"
	typInt32   = "Int32"
	typUInt32  = "UInt32"
	typUInt64  = "UInt64"
	typPoint   = "Tuple(DateTime64(3, 'UTC'), Float64)"
	typString  = "String"
	typQuality = "Enum8('good' = 0, 'uncertain' = 1, 'bad' = 2)"
)

// maxTime is the last millisecond that DateTime64 holds, neutral to min.
const maxTime = 10_413_791_999_999

// Readings is a block of table readings.
type Readings struct {
	frame
	tenant, line, sensor, ts, value, quality, seq, score, partition, offset *column
}

// NewReadings makes an empty block.
func NewReadings() *Readings {
	b := &Readings{frame: frame{table: "readings"}}
	b.tenant, b.line, b.sensor = b.add("tenant_id", typUUID), b.add("line_id", typUUID), b.add("sensor_id", typUUID)
	b.ts, b.value = b.add("ts", typTime), b.add("value", typFloat64)
	b.quality, b.seq, b.score = b.add("quality", typQuality), b.add("seq", typInt64), b.add("score", typFloat32)
	b.partition, b.offset = b.add("_partition", typInt32), b.add("_offset", typInt64)
	return b
}

// Append adds a reading with its score and its place on the topic.
func (b *Readings) Append(r *plant.Reading, score float32, partition int32, offset int64) {
	b.tenant.uuid(&r.Tenant)
	b.line.uuid(&r.Line)
	b.sensor.uuid(&r.Sensor)
	b.ts.int64(r.TS)
	b.value.float64(r.Value)
	b.quality.int8(int8(r.Quality))
	b.seq.int64(r.Seq)
	b.score.float32(score)
	b.partition.int32(partition)
	b.offset.int64(offset)
	b.rows++
}

// Minutes is a block of table readings_1m.
type Minutes struct {
	frame
	tenant, line, sensor, ts, count, valid, sum, least, most *column
	first, last                                              *column
}

// NewMinutes makes an empty block.
func NewMinutes() *Minutes {
	b := &Minutes{frame: frame{table: "readings_1m"}}
	b.tenant, b.line, b.sensor = b.add("tenant_id", typUUID), b.add("line_id", typUUID), b.add("sensor_id", typUUID)
	b.ts, b.count, b.valid = b.add("ts", typMinute), b.add("count", typUInt64), b.add("valid", typUInt64)
	b.sum, b.least, b.most = b.add("sum", typFloat64), b.add("min", typFloat64), b.add("max", typFloat64)
	b.first, b.last = b.add("first", typPoint), b.add("last", typPoint)
	return b
}

// Append adds a sum of readings of one sensor and minute, in whole or in part.
func (b *Minutes) Append(tenant, line, sensor *plant.ID, m *plant.Minute) {
	b.tenant.uuid(tenant)
	b.line.uuid(line)
	b.sensor.uuid(sensor)
	b.ts.uint32(uint32(m.Start / 1000))
	b.count.int64(int64(m.Count))
	b.valid.int64(int64(m.Valid))
	b.sum.float64(m.Sum)
	b.least.float64(m.Min)
	b.most.float64(m.Max)
	if m.Valid == 0 {
		b.first.point(maxTime, 0)
		b.last.point(0, 0)
	} else {
		b.first.point(m.FirstTS, m.First)
		b.last.point(m.LastTS, m.Last)
	}
	b.rows++
}

// LineEvents is a block of table line_events.
type LineEvents struct {
	frame
	tenant, line, id, ts, typ, state, reason, product, good, scrap, rework, unit, partition, offset *column
}

// NewLineEvents makes an empty block.
func NewLineEvents() *LineEvents {
	b := &LineEvents{frame: frame{table: "line_events"}}
	b.tenant, b.line, b.id = b.add("tenant_id", typUUID), b.add("line_id", typUUID), b.add("event_id", typUUID)
	b.ts, b.typ, b.state = b.add("ts", typTime), b.add("type", typString), b.add("state", typString)
	b.reason, b.product = b.add("reason", typString), b.add("product", typString)
	b.good, b.scrap, b.rework = b.add("good", typFloat64), b.add("scrap", typFloat64), b.add("rework", typFloat64)
	b.unit, b.partition, b.offset = b.add("unit", typString), b.add("_partition", typInt32), b.add("_offset", typInt64)
	return b
}

// Append adds an event with its place on the topic.
func (b *LineEvents) Append(e *plant.LineEvent, partition int32, offset int64) {
	state := ""
	if e.Type == plant.EventState {
		state = e.State.String()
	}
	b.tenant.uuid(&e.Tenant)
	b.line.uuid(&e.Line)
	b.id.uuid(&e.ID)
	b.ts.int64(e.TS)
	b.typ.text(e.Type.String())
	b.state.text(state)
	b.reason.text(e.Reason)
	b.product.text(e.Product)
	b.good.float64(e.Good)
	b.scrap.float64(e.Scrap)
	b.rework.float64(e.Rework)
	b.unit.text(e.Unit)
	b.partition.int32(partition)
	b.offset.int64(offset)
	b.rows++
}

// Anomalies is a block of table anomalies.
type Anomalies struct {
	frame
	tenant, line, sensor, id, kind, ts, since, value, expected, score, partition, offset *column
}

// NewAnomalies makes an empty block.
func NewAnomalies() *Anomalies {
	b := &Anomalies{frame: frame{table: "anomalies"}}
	b.tenant, b.line, b.sensor, b.id = b.add("tenant_id", typUUID), b.add("line_id", typUUID), b.add("sensor_id", typUUID), b.add("anomaly_id", typUUID)
	b.kind, b.ts, b.since = b.add("kind", typString), b.add("ts", typTime), b.add("since", typTime)
	b.value, b.expected, b.score = b.add("value", typFloat64), b.add("expected", typFloat64), b.add("score", typFloat32)
	b.partition, b.offset = b.add("_partition", typInt32), b.add("_offset", typInt64)
	return b
}

// Append adds an anomaly.
func (b *Anomalies) Append(a *plant.Anomaly) {
	b.tenant.uuid(&a.Tenant)
	b.line.uuid(&a.Line)
	b.sensor.uuid(&a.Sensor)
	b.id.uuid(&a.ID)
	b.kind.text(a.Kind.String())
	b.ts.int64(a.TS)
	b.since.int64(a.Since)
	b.value.float64(a.Value)
	b.expected.float64(a.Expected)
	b.score.float32(a.Score)
	b.partition.int32(a.Partition)
	b.offset.int64(a.Offset)
	b.rows++
}

// OEEParts is a block of table oee_parts.
type OEEParts struct {
	frame
	tenant, line, minute, product, revision, unit *column
	classes                                       [plant.NumTimeClasses]*column
	busy, run, idealTotal, idealGood              *column
	total, good, scrap, startup, rework           *column
	policy, partition                             *column
}

// NewOEEParts makes an empty block.
func NewOEEParts() *OEEParts {
	b := &OEEParts{frame: frame{table: "oee_parts"}}
	b.tenant, b.line, b.minute = b.add("tenant_id", typUUID), b.add("line_id", typUUID), b.add("minute", typMinute)
	b.product, b.revision, b.unit = b.add("product", typString), b.add("revision", typUInt32), b.add("unit", typString)
	for i, name := range plant.TimeClasses() {
		b.classes[i] = b.add(name+"_ms", typInt64)
	}
	b.busy, b.run = b.add("planned_busy_ms", typInt64), b.add("run_ms", typInt64)
	b.idealTotal, b.idealGood = b.add("ideal_total_ms", typFloat64), b.add("ideal_good_ms", typFloat64)
	b.total, b.good, b.scrap = b.add("total", typFloat64), b.add("good", typFloat64), b.add("scrap", typFloat64)
	b.startup, b.rework = b.add("startup_scrap", typFloat64), b.add("rework", typFloat64)
	b.policy, b.partition = b.add("policy", typUInt32), b.add("_partition", typInt32)
	return b
}

// Append adds a part.
func (b *OEEParts) Append(p *plant.OEEPart, partition int32) {
	b.tenant.uuid(&p.Tenant)
	b.line.uuid(&p.Line)
	b.minute.uint32(uint32(p.Minute / 1000))
	b.product.text(p.Product)
	b.revision.uint32(p.Revision)
	b.unit.text(p.Unit)
	for i := range b.classes {
		b.classes[i].int64(p.TimeMS[i])
	}
	b.busy.int64(p.PlannedBusyMS)
	b.run.int64(p.RunMS)
	b.idealTotal.float64(p.IdealTotalMS)
	b.idealGood.float64(p.IdealGoodMS)
	b.total.float64(p.Total)
	b.good.float64(p.Good)
	b.scrap.float64(p.Scrap)
	b.startup.float64(p.StartupScrap)
	b.rework.float64(p.Rework)
	b.policy.uint32(p.Policy)
	b.partition.int32(partition)
	b.rows++
}
