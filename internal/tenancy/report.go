package tenancy

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
)

// reportFormat counts the changes of a report's form.
const reportFormat = 1

// Removed is how many there were before and after.
type Removed struct {
	Before int64 `json:"before"`
	After  int64 `json:"after"`
}

// Report is what a deletion found and what it left.
type Report struct {
	Format   int    `json:"format"`
	Number   int64  `json:"number" doc:"counts the installation's reports"`
	Previous string `json:"previous_sha256" doc:"of the report before, empty in the first"`

	TenantID    plant.ID  `json:"tenant_id" format:"uuid"`
	TenantKey   string    `json:"tenant_key" example:"acme"`
	TenantName  string    `json:"tenant_name" example:"Acme Foods"`
	JobID       plant.ID  `json:"job_id" format:"uuid"`
	RequestedBy string    `json:"requested_by" doc:"user:<id> or system"`
	RequestedAt time.Time `json:"requested_at"`
	EndedAt     time.Time `json:"ended_at"`

	Postgres   PostgresReport   `json:"postgres"`
	ClickHouse ClickHouseReport `json:"clickhouse"`
	Kafka      KafkaReport      `json:"kafka"`
	// Archives is how many files of exports were removed.
	Archives int `json:"archives_removed"`
	// Beyond names what a deletion doesn't reach.
	Beyond []string `json:"beyond_reach" nullable:"false"`
}

// PostgresReport is the part of Postgres.
type PostgresReport struct {
	Schema     string             `json:"schema"`
	SchemaGone bool               `json:"schema_gone"`
	Role       string             `json:"role"`
	RoleGone   bool               `json:"role_gone"`
	Tables     map[string]Removed `json:"tables" doc:"rows of the tenant's own tables"`
	Shared     map[string]Removed `json:"shared" doc:"the tenant's rows in the installation's tables"`
}

// ClickHouseReport is the part of ClickHouse.
type ClickHouseReport struct {
	Database string             `json:"database"`
	Tables   map[string]Removed `json:"tables" doc:"rows by table"`
}

// KafkaReport is the part of Kafka.
type KafkaReport struct {
	Tombstones int64       `json:"tombstones" doc:"written to the directory"`
	Directory  Removed     `json:"directory" doc:"entries of the tenant that are in force"`
	State      Removed     `json:"processor_state" doc:"records of processors' state that name the tenant"`
	Topics     []TopicGone `json:"topics" nullable:"false" doc:"where records age out and can't be deleted one by one"`
}

// TopicGone says by when the last record of a tenant is gone from a topic.
type TopicGone struct {
	broker.Keeping
	GoneBy *time.Time `json:"gone_by" doc:"by the topic's settings; null: they set no limit"`
}

// Complete names what is left that should not be; nothing when the deletion is
// whole.
func (r *Report) Complete() (left []string) {
	for name, counts := range map[string]map[string]Removed{"postgres table": r.Postgres.Tables, "shared postgres table": r.Postgres.Shared, "clickhouse table": r.ClickHouse.Tables} {
		for table, n := range counts {
			if n.After != 0 {
				left = append(left, fmt.Sprintf("%s %s holds %d rows", name, table, n.After))
			}
		}
	}
	if !r.Postgres.SchemaGone {
		left = append(left, "schema "+r.Postgres.Schema+" is there")
	}
	if !r.Postgres.RoleGone {
		left = append(left, "role "+r.Postgres.Role+" is there")
	}
	if n := r.Kafka.Directory.After; n != 0 {
		left = append(left, fmt.Sprintf("the directory holds %d entries", n))
	}
	if n := r.Kafka.State.After; n != 0 {
		left = append(left, fmt.Sprintf("%d records of processors' state name the tenant", n))
	}
	return left
}

// Signer signs reports with a key that follows from the installation's secret,
// so every process of the installation, and a later one, has the same.
type Signer struct{ key ed25519.PrivateKey }

// NewSigner derives the key.
func NewSigner(secret []byte) Signer {
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("foodflow deletion reports"))
	return Signer{ed25519.NewKeyFromSeed(m.Sum(nil))}
}

// Public is the key that reports are checked with.
func (s Signer) Public() []byte { return s.key.Public().(ed25519.PublicKey) } //nolint:forcetypeassert // the library's promise

// seal makes the stored form of a report.
func (s Signer) seal(r Report) (*masterdata.Deletion, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding report: %w", err)
	}
	sum := sha256.Sum256(text)
	return &masterdata.Deletion{Text: string(text), Hash: sum[:], Signature: ed25519.Sign(s.key, text), PublicKey: s.Public()}, nil
}

// Check says what is wrong with a chain of reports, from the first on. public,
// when given, is the key that they must be signed with.
func Check(chain []*masterdata.Deletion, public []byte) error {
	var previous string
	for i, d := range chain {
		var r Report
		if err := json.Unmarshal([]byte(d.Text), &r); err != nil {
			return fmt.Errorf("report %d: %w", d.Number, err)
		}
		sum := sha256.Sum256([]byte(d.Text))
		switch {
		case d.Number != int64(i)+1 || r.Number != d.Number:
			return fmt.Errorf("report %d: stands where report %d should", d.Number, i+1)
		case string(sum[:]) != string(d.Hash):
			return fmt.Errorf("report %d: its text has been changed", d.Number)
		case r.Previous != previous:
			return fmt.Errorf("report %d: the one before it has been changed", d.Number)
		case public != nil && string(d.PublicKey) != string(public):
			return fmt.Errorf("report %d: signed with a foreign key", d.Number)
		case len(d.PublicKey) != ed25519.PublicKeySize || !ed25519.Verify(d.PublicKey, []byte(d.Text), d.Signature):
			return fmt.Errorf("report %d: its signature is wrong", d.Number)
		}
		previous = hex.EncodeToString(sum[:])
	}
	return nil
}
