package directory

import (
	"sync/atomic"

	"github.com/foodflow/foodflow/internal/plant"
)

// The kinds of entries on the topic. A reader skips kinds it doesn't know.
const (
	KindTenant     = "tenant"
	KindLine       = "line"
	KindSensor     = "sensor"
	KindAPIKey     = "api_key"
	KindProduct    = "product"
	KindCalendar   = "calendar"
	KindStopReason = "stop_reason"
	KindRevocation = "revocation"
)

// The ways a sensor's detector can be set.
const (
	DetectDefault = "default"
	DetectOff     = "off"
)

// Tenant is one customer.
type Tenant struct {
	ID   plant.ID `json:"id"`
	Key  string   `json:"key"` // lower case letters, digits and dashes; unique in the installation
	Name string   `json:"name"`
	// Suspended refuses every key and log-in of the tenant.
	Suspended bool `json:"suspended,omitempty"`
	// Deleting says that nothing of the tenant may be kept any longer: who holds
	// state of it lets go of that.
	Deleting bool  `json:"deleting,omitempty"`
	Quota    Quota `json:"quota,omitzero"` // of all its keys together
}

// Line is a production line.
type Line struct {
	ID       plant.ID `json:"id"`
	Tenant   plant.ID `json:"tenant_id"`
	Key      string   `json:"key"` // the tenant's own name of it, unique among its lines
	Name     string   `json:"name"`
	TimeZone string   `json:"time_zone"` // IANA name
	Unit     string   `json:"unit"`      // of its counts, e.g. "bottle"
	// IdealRate is in units a minute and holds where Ideal names no rate for
	// the product; 0 means that there is none.
	IdealRate float64       `json:"ideal_rate,omitempty"`
	Ideal     []ProductRate `json:"ideal,omitempty"`
	// Calendar is the shift calendar, zero when the line is always scheduled.
	Calendar plant.ID `json:"calendar_id"`
	// SilenceTimeoutMS is how long a line may send nothing before its time
	// counts as no_signal; 0 means the default of the processors.
	SilenceTimeoutMS int64 `json:"silence_timeout_ms,omitempty"`
	// MinorStopMS is the longest stop that is a minor one; 0: the default.
	MinorStopMS int64 `json:"minor_stop_ms,omitempty"`
	// Policy is the version of the OEE policy that is stamped on figures.
	Policy uint32 `json:"policy,omitempty"`
	// Constraint marks the machine that sets the pace of a serial line.
	Constraint bool `json:"constraint,omitempty"`
}

// ProductRate is the ideal rate of one product on one line from a date on.
type ProductRate struct {
	Product   string  `json:"product"` // the product's key
	PerMinute float64 `json:"per_minute"`
	From      int64   `json:"from"` // Unix milliseconds
}

// Sensor is one measured thing.
type Sensor struct {
	ID     plant.ID `json:"id"`
	Tenant plant.ID `json:"tenant_id"`
	Line   plant.ID `json:"line_id"` // zero: belongs to no line
	Key    string   `json:"key"`     // the tenant's own name of it, unique among its sensors
	Name   string   `json:"name"`
	Unit   string   `json:"unit"` // e.g. "degC"
	Kind   string   `json:"kind"` // e.g. "temperature"
	// Alarm limits (ISA-18.2) and the range of the instrument; nil: none.
	LL       *float64 `json:"ll,omitempty"`
	L        *float64 `json:"l,omitempty"`
	H        *float64 `json:"h,omitempty"`
	HH       *float64 `json:"hh,omitempty"`
	RangeMin *float64 `json:"range_min,omitempty"`
	RangeMax *float64 `json:"range_max,omitempty"`
	// Deadband is how far back inside a limit a value must come to end an alarm.
	Deadband   float64 `json:"deadband,omitempty"`
	OnDelayMS  int64   `json:"on_delay_ms,omitempty"`
	OffDelayMS int64   `json:"off_delay_ms,omitempty"`
	// Detect is DetectDefault or DetectOff; "" is DetectDefault.
	Detect string `json:"detect,omitempty"`
	// Epoch counts how often the sensor's alarms were begun anew: it grows when the
	// sensor goes to another line, and when a limit is moved or taken off. What was found
	// under an earlier one says nothing of its alarms any more.
	Epoch int64 `json:"epoch,omitempty"`
}

// Product is something a line makes.
type Product struct {
	ID     plant.ID `json:"id"`
	Tenant plant.ID `json:"tenant_id"`
	Key    string   `json:"key"`
	Name   string   `json:"name"`
	Unit   string   `json:"unit"`
}

// StopReason is a node of a tenant's tree of reasons why a line stands.
type StopReason struct {
	ID     plant.ID `json:"id"`
	Tenant plant.ID `json:"tenant_id"`
	Parent plant.ID `json:"parent_id"` // zero: a root
	Key    string   `json:"key"`
	Name   string   `json:"name"`
	// Class is the class of the time ledger that a stop of this reason falls
	// in, one of plant.TimeClasses; "" leaves it to the line's state.
	Class string `json:"class,omitempty"`
}

// Calendar says when a line is meant to produce.
type Calendar struct {
	ID       plant.ID `json:"id"`
	Tenant   plant.ID `json:"tenant_id"`
	Key      string   `json:"key"`
	Name     string   `json:"name"`
	TimeZone string   `json:"time_zone"` // IANA name
	// Shifts repeat every CycleDays days counted from Anchor (YYYY-MM-DD);
	// rotating teams have a cycle longer than a week.
	CycleDays int     `json:"cycle_days"`
	Anchor    string  `json:"anchor"`
	Shifts    []Shift `json:"shifts"`
	// Exceptions replace a day's shifts: holidays (no shifts), overtime.
	Exceptions []CalendarException `json:"exceptions,omitempty"`
}

// Shift is one shift of a cycle. It belongs to the day on which it starts, so
// Start + Minutes may reach into the next.
type Shift struct {
	Key     string  `json:"key" minLength:"1" maxLength:"100" example:"morning"`
	Day     int     `json:"day" minimum:"0" maximum:"365" doc:"of the cycle, from 0" example:"0"` // 0 .. CycleDays-1
	Start   string  `json:"start" doc:"local wall clock, HH:MM" example:"06:00"`
	Minutes int     `json:"minutes" minimum:"1" maximum:"1440" example:"480"`
	Breaks  []Break `json:"breaks,omitempty" doc:"at most 24"`
}

// Break is planned time off inside a shift.
type Break struct {
	After   int `json:"after" minimum:"0" doc:"minutes from the shift's start" example:"120"`
	Minutes int `json:"minutes" minimum:"1" example:"15"`
}

// CalendarException replaces the shifts of one local date.
type CalendarException struct {
	Date   string  `json:"date" format:"date" example:"2026-12-25"`
	Reason string  `json:"reason,omitempty" maxLength:"200" example:"Christmas"`
	Shifts []Shift `json:"shifts,omitempty" doc:"at most 24"`
}

// Revocation refuses access tokens that have not ended yet: those of a user, or
// of one log-in.
type Revocation struct {
	ID     plant.ID `json:"id"` // the user's or the log-in's
	Tenant plant.ID `json:"tenant_id"`
	// Below is the version of the user that a token must be made for at least;
	// 0: no token is taken.
	Below int64 `json:"below,omitempty"`
}

// APIKey is a key as the directory knows it: never the secret.
type APIKey struct {
	ID     plant.ID `json:"id"`
	Tenant plant.ID `json:"tenant_id"`
	Public string   `json:"public"`
	// Hash is SHA-256 of the secret. The secret has 256 random bits, so a slow
	// hash would add nothing.
	Hash      Digest   `json:"hash"`
	Scopes    []string `json:"scopes"`
	ExpiresAt int64    `json:"expires_at,omitempty"` // Unix milliseconds, 0: never
	Revoked   bool     `json:"revoked,omitempty"`
	Quota     Quota    `json:"quota,omitzero"`

	noted *atomic.Int64 // when its use was noted last, Unix milliseconds; every version of the key has the same
}
