package masterdata

import (
	"fmt"
	"math"
	"regexp"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
)

// keyForm is what a tenant's own key may look like: it stands in URLs and, for
// sensors, in MQTT topics, so no slash, plus, hash or space.
var keyForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]*$`)

// rules collects what is wrong.
type rules struct{ items []fault.Item }

func (r *rules) add(location, rule, format string, args ...any) {
	r.items = append(r.items, fault.Item{Location: location, Rule: rule, Message: fmt.Sprintf(format, args...)})
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
	if n := len([]rune(v)); n < least || n > most {
		r.add(location, "length", "must have %d to %d characters", least, most)
	}
	for _, c := range v {
		if c < ' ' || c == 0x7f {
			r.add(location, "control_character", "must not hold control characters")
			return
		}
	}
}

func (r *rules) zone(location, v string) {
	if v == "" || v == "Local" {
		r.add(location, "time_zone", "must be an IANA time zone")
		return
	}
	if _, err := time.LoadLocation(v); err != nil {
		r.add(location, "time_zone", "must be an IANA time zone")
	}
}

func (r *rules) least(location string, v, least float64) {
	if math.IsNaN(v) || math.IsInf(v, 0) || v < least {
		r.add(location, "minimum", "must be at least %v", least)
	}
}

func (r *rules) oneOf(location, v string, allowed []string) {
	for _, a := range allowed {
		if a == v {
			return
		}
	}
	r.add(location, "enum", "must be one of %v", allowed)
}

// rising holds that the values that are there don't fall.
func (r *rules) rising(names []string, values []*float64) {
	last := -1
	for i, v := range values {
		if v == nil {
			continue
		}
		if math.IsNaN(*v) || math.IsInf(*v, 0) {
			r.add(names[i], "not_finite", "must be finite")
			return
		}
		if last >= 0 && *v < *values[last] {
			r.add(names[i], "order", "must not be below %s", names[last])
		}
		last = i
	}
}
