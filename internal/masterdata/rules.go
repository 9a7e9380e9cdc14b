package masterdata

import (
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// keyForm is what a tenant's own key may look like: it stands in URLs and, for
// sensors, in MQTT topics, so no slash, plus, hash or space.
var keyForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]*$`)

// maxNamed bounds how many broken rules are named: whoever sends a thousand
// wrong things learns as much from twenty, and that there are more.
const maxNamed = 20

// rules collects what is wrong: the first maxNamed in full, the others by number.
type rules struct {
	items []fault.Item
	total int
}

func (r *rules) add(location, rule, format string, args ...any) {
	if r.total++; r.total <= maxNamed {
		r.items = append(r.items, fault.Item{Location: location, Rule: rule, Message: fmt.Sprintf(format, args...)})
	}
}

// broken is the fault of the rules that are broken; nil: none is.
func (r *rules) broken() error {
	if r.total == 0 {
		return nil
	}
	e := fault.NewInvalid(r.items...)
	if r.total > len(r.items) {
		e.Total = r.total
	}
	return e
}

func (r *rules) key(location, v string, limit int) {
	if v == "" || len(v) > limit || !keyForm.MatchString(v) {
		r.add(location, "key", "must be 1 to %d letters, digits, '.', '_', ':' or '-', a letter or digit first", limit)
	}
	if len(v) == 36 && v[8] == '-' && v[13] == '-' {
		r.add(location, "key", "must not look like an id")
	}
}

func (r *rules) text(location, v string, least, most int) {
	r.characters(location, v, least, most, func(c rune) bool { return c >= ' ' && c != 0x7f })
}

// prose is text that may have lines.
func (r *rules) prose(location, v string, most int) {
	r.characters(location, v, 0, most, func(c rune) bool {
		return c >= ' ' && c != 0x7f || c == '\n' || c == '\r' || c == '\t'
	})
}

func (r *rules) characters(location, v string, least, most int, may func(rune) bool) {
	if n := utf8.RuneCountInString(v); n < least || n > most {
		r.add(location, "length", "must have %d to %d characters", least, most)
		return
	}
	if !utf8.ValidString(v) {
		r.add(location, "utf8", "must be UTF-8")
		return
	}
	if least > 0 && v != "" && strings.TrimSpace(v) == "" {
		r.add(location, "blank", "must not be blank")
	}
	for _, c := range v {
		if !may(c) {
			r.add(location, "control_character", "must not hold control characters")
			return
		}
	}
}

// count holds the length of a list. What is too long is not looked into.
func (r *rules) count(location string, n, most int) bool {
	if n > most {
		r.add(location, "max_items", "must have at most %d entries", most)
	}
	return n <= most
}

func (r *rules) quantity(location string, v float64) { r.between(location, v, 0, maxQuantity) }

// between holds a number to its bounds; NaN is outside of all.
func (r *rules) between(location string, v, least, most float64) {
	if !(v >= least && v <= most) {
		r.add(location, "range", "must be %v to %v", least, most)
	}
}

// instant holds a time within what JSON, Postgres and Kafka can all tell.
func (r *rules) instant(location string, t *time.Time) {
	if t != nil && (t.UTC().Year() < 1 || t.UTC().Year() > 9999) {
		r.add(location, "range", "must lie in the years 1 to 9999, UTC")
	}
}

// maxZone is longer than any name in the IANA database.
const maxZone = 64

func (r *rules) zone(location, v string) {
	if v == "" || v == "Local" || len(v) > maxZone {
		r.add(location, "time_zone", "must be an IANA time zone")
		return
	}
	if _, err := time.LoadLocation(v); err != nil {
		r.add(location, "time_zone", "must be an IANA time zone")
	}
}

// span holds a length of time in milliseconds.
func (r *rules) span(location string, ms int64, most time.Duration) {
	if ms < 0 || ms > most.Milliseconds() {
		r.add(location, "range", "must be 0 to %d", most.Milliseconds())
	}
}

// Ideal rates, in units a minute, lie between one unit in two years and more than
// any line makes; with counts up to plant.MaxCount all of OEE's figures are finite.
const (
	minRate = 1e-6
	maxRate = 1e9
)

func (r *rules) rate(location string, v float64) { r.between(location, v, minRate, maxRate) }

func (r *rules) oneOf(location, v string, allowed []string) {
	for _, a := range allowed {
		if a == v {
			return
		}
	}
	r.add(location, "enum", "must be one of %s", strings.Join(allowed, ", "))
}

// rising holds that the values that are there are a sensor's and don't fall.
func (r *rules) rising(names []string, values []*float64) {
	last := -1
	for i, v := range values {
		if v == nil {
			continue
		}
		if !(math.Abs(*v) <= plant.MaxValue) {
			r.add(names[i], "range", "must be within %v and %v", -plant.MaxValue, plant.MaxValue)
			return
		}
		if last >= 0 && *v < *values[last] {
			r.add(names[i], "order", "must not be below %s", names[last])
		}
		last = i
	}
}
