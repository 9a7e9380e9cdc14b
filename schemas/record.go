package schemas

import (
	"errors"
	"fmt"
	"strings"

	"github.com/foodflow/foodflow/internal/plant"
)

// DeadLetter is a record that can't be processed.
type DeadLetter struct {
	ID        plant.ID `avro:"dead_letter_id"`
	Topic     string   `avro:"topic"`
	Partition int32    `avro:"partition"`
	Offset    int64    `avro:"offset"`
	TS        int64    `avro:"ts"` // the broker's, Unix milliseconds
	Key       *[]byte  `avro:"key"`
	Value     *[]byte  `avro:"value"`
	Headers   []Header `avro:"headers"`
	Reason    string   `avro:"reason"`
	Detail    string   `avro:"detail"`
	FailedAt  int64    `avro:"failed_at"`
	// Mark, when set, makes this no letter but a note of what became of it.
	Mark *LetterMark `avro:"mark" json:"-"`
}

// LetterMark is a note about a dead letter: package letter reads and writes them.
type LetterMark struct {
	State string   `avro:"state"`
	Run   plant.ID `avro:"run"`
	// After is the run whose last mark a claim follows; the zero id for none.
	After   plant.ID `avro:"after"`
	LeaseMS int64    `avro:"lease_ms"`
}

// DeadLetterID derives a dead letter's id from where the record stood.
func DeadLetterID(topic string, partition int32, offset int64) plant.ID {
	return plant.NameID(plant.ID{}, topic, fmt.Sprint(partition), fmt.Sprint(offset))
}

// maxDetail bounds the words of a dead letter's reason.
const maxDetail = 500

// Refuse says why the record that d holds can't be processed. Everything follows
// from the record, so a repetition after a crash makes the same letter.
func (d *DeadLetter) Refuse(reason string, cause error) {
	d.ID, d.FailedAt = DeadLetterID(d.Topic, d.Partition, d.Offset), d.TS
	detail := cause.Error()
	d.Reason, d.Detail = reason, strings.ToValidUTF8(detail[:min(len(detail), maxDetail)], "")
}

// Reason is the reason of a dead letter for a value that could not be decoded;
// "" where the registry could not be asked, which passes.
func Reason(err error) string {
	switch {
	case errors.Is(err, ErrRegistry):
		return ""
	case errors.Is(err, ErrFrame):
		return "frame"
	case errors.Is(err, ErrUnknownSchema):
		return "unknown_schema"
	}
	return "body"
}

// Some is a key or value that may be null.
func Some(b []byte) *[]byte {
	if b == nil {
		return nil
	}
	return &b
}

// Header is a Kafka record header.
type Header struct {
	Key   string `avro:"key"`
	Value []byte `avro:"value"`
}

// DomainEvent is a change of master data.
type DomainEvent struct {
	ID            plant.ID `avro:"event_id"`
	Type          string   `avro:"type"`
	Tenant        plant.ID `avro:"tenant_id"`
	AggregateType string   `avro:"aggregate_type"`
	Aggregate     plant.ID `avro:"aggregate_id"`
	Seq           int64    `avro:"seq"`
	TS            int64    `avro:"ts"`
	Actor         string   `avro:"actor"`
	Data          string   `avro:"data"` // JSON
}

// DirectoryEntry is the current master data of one thing.
type DirectoryEntry struct {
	Kind    string   `avro:"kind"`
	Tenant  plant.ID `avro:"tenant_id"`
	ID      plant.ID `avro:"id"`
	Version int64    `avro:"version"`
	Data    string   `avro:"data"` // JSON of internal/directory's type
}

// KeyUse is that an API key was used.
type KeyUse struct {
	Tenant plant.ID `avro:"tenant_id"`
	APIKey plant.ID `avro:"key_id"`
	TS     int64    `avro:"ts"` // Unix milliseconds
}

// Key is the Kafka record key of the entry.
func (e *DirectoryEntry) Key() []byte {
	return []byte(e.Kind + "/" + e.Tenant.String() + "/" + e.ID.String())
}

// wireReading and its siblings are the records as the reflecting library sees
// them; field names are those of the newest schema.
type wireReading struct {
	Tenant  plant.ID `avro:"tenant_id"`
	Line    plant.ID `avro:"line_id"`
	Sensor  plant.ID `avro:"sensor_id"`
	TS      int64    `avro:"ts"`
	Value   float64  `avro:"value"`
	Quality string   `avro:"quality"`
	Seq     *int64   `avro:"seq"`
}

type wireLineEvent struct {
	Tenant  plant.ID `avro:"tenant_id"`
	Line    plant.ID `avro:"line_id"`
	ID      plant.ID `avro:"event_id"`
	TS      int64    `avro:"ts"`
	Type    string   `avro:"type"`
	State   string   `avro:"state"`
	Reason  string   `avro:"reason"`
	Product string   `avro:"product"`
	Good    float64  `avro:"good"`
	Scrap   float64  `avro:"scrap"`
	Rework  float64  `avro:"rework"`
	Unit    string   `avro:"unit"`
	Seq     *int64   `avro:"seq"`
}

type wireAnomaly struct {
	ID        plant.ID  `avro:"anomaly_id"`
	Tenant    plant.ID  `avro:"tenant_id"`
	Line      plant.ID  `avro:"line_id"`
	Sensor    plant.ID  `avro:"sensor_id"`
	Kind      string    `avro:"kind"`
	TS        int64     `avro:"ts"`
	Since     int64     `avro:"since"`
	Value     float64   `avro:"value"`
	Expected  float64   `avro:"expected"`
	Score     float32   `avro:"score"`
	Partition int32     `avro:"source_partition"`
	Offset    int64     `avro:"source_offset"`
	Ended     bool      `avro:"ended"`
	TopicID   *plant.ID `avro:"source_topic_id"`
	Epoch     int64     `avro:"epoch"`
}

type wireOEEPart struct {
	Tenant        plant.ID         `avro:"tenant_id"`
	Line          plant.ID         `avro:"line_id"`
	Minute        int64            `avro:"minute"`
	Product       string           `avro:"product"`
	Revision      int64            `avro:"revision"`
	Unit          string           `avro:"unit"`
	TimeMS        map[string]int64 `avro:"time_ms"`
	PlannedBusyMS int64            `avro:"planned_busy_ms"`
	RunMS         int64            `avro:"run_ms"`
	IdealTotalMS  float64          `avro:"ideal_total_ms"`
	IdealGoodMS   float64          `avro:"ideal_good_ms"`
	Total         float64          `avro:"total"`
	Good          float64          `avro:"good"`
	Scrap         float64          `avro:"scrap"`
	StartupScrap  float64          `avro:"startup_scrap"`
	Rework        float64          `avro:"rework"`
	Policy        int64            `avro:"policy"`
}
