package masterdata

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
)

// Calendar says when a line is meant to produce.
type Calendar struct {
	Meta
	CalendarFields
}

// CalendarFields is what a user says of a calendar.
type CalendarFields struct {
	Key        string                        `json:"key" minLength:"1" maxLength:"100" example:"three-shifts"`
	Name       string                        `json:"name" minLength:"1" maxLength:"200" example:"Three shifts"`
	TimeZone   string                        `json:"time_zone" doc:"IANA time zone" example:"Europe/Berlin"`
	CycleDays  int                           `json:"cycle_days" minimum:"1" maximum:"366" doc:"after how many days the shifts repeat" example:"7"`
	Anchor     string                        `json:"anchor" format:"date" doc:"a local date that is day 0 of a cycle" example:"2026-01-05"`
	Shifts     []directory.Shift             `json:"shifts" nullable:"false" maxItems:"2000"`
	Exceptions []directory.CalendarException `json:"exceptions,omitempty" nullable:"false" maxItems:"2000" doc:"days on which other shifts hold: holidays, overtime"`
}

// Calendars gives the operations on calendars.
func (s *Store) Calendars() set[Calendar] { return set[Calendar]{s, calendarResource(), nil} }

func calendarResource() *resource[Calendar] {
	return &resource[Calendar]{
		table: "calendars", aggregate: directory.KindCalendar, noun: "Calendar",
		columns: []string{"key", "name", "time_zone", "cycle_days", "anchor", "shifts", "exceptions"},
		meta:    func(c *Calendar) *Meta { return &c.Meta },
		bind: func(c *Calendar) []any {
			return []any{&c.Key, &c.Name, &c.TimeZone, &c.CycleDays, (*date)(&c.Anchor), &c.Shifts, &c.Exceptions}
		},
		check: checkCalendar,
		entry: func(tenant plant.ID, c *Calendar) any {
			return directory.Calendar{
				ID: c.ID, Tenant: tenant, Key: c.Key, Name: c.Name, TimeZone: c.TimeZone,
				CycleDays: c.CycleDays, Anchor: c.Anchor, Shifts: c.Shifts, Exceptions: c.Exceptions,
			}
		},
	}
}

func checkCalendar(c *Calendar) *rules {
	if c.Shifts == nil {
		c.Shifts = []directory.Shift{}
	}
	if c.Exceptions == nil {
		c.Exceptions = []directory.CalendarException{}
	}
	var r rules
	r.key("key", c.Key, 100)
	r.text("name", c.Name, 1, 200)
	r.zone("time_zone", c.TimeZone)
	if c.CycleDays < 1 || c.CycleDays > 366 {
		r.add("cycle_days", "range", "must be 1 to 366")
	}
	r.date("anchor", c.Anchor)
	r.shifts("shifts", c.Shifts, c.CycleDays, maxShifts, true)
	if !r.count("exceptions", len(c.Exceptions), maxExceptions) {
		return &r
	}
	dates := map[string]bool{}
	for i, x := range c.Exceptions {
		at := fmt.Sprintf("exceptions[%d]", i)
		r.date(at+".date", x.Date)
		if dates[x.Date] {
			r.add(at+".date", "unique", "has two exceptions")
		}
		dates[x.Date] = true
		r.text(at+".reason", x.Reason, 0, 200)
		r.shifts(at+".shifts", x.Shifts, 1, maxShiftsADay, false)
	}
	return &r
}

// The bounds of a calendar: some years of days, each with as many shifts as any
// plant has teams.
const (
	maxShifts     = 2000
	maxExceptions = 2000
	maxShiftsADay = 24
	maxBreaks     = 24
)

// date takes years that Postgres and every client can tell.
func (r *rules) date(location, v string) {
	if t, err := time.Parse(time.DateOnly, v); err != nil || t.Year() < 1 {
		r.add(location, "date", "must be a date, YYYY-MM-DD")
	}
}

const minutesPerDay = 24 * 60

// span is a shift in minutes from the beginning of its cycle.
type span struct{ index, from, to int }

// shifts holds that no shift overlaps another, round the end of the cycle too
// where it repeats, and that breaks lie inside theirs. Wall-clock minutes are
// compared; a daylight-saving change moves both sides alike.
func (r *rules) shifts(location string, shifts []directory.Shift, days, most int, repeats bool) {
	if !r.count(location, len(shifts), most) {
		return
	}
	var spans []span
	for i, s := range shifts {
		at := fmt.Sprintf("%s[%d]", location, i)
		r.key(at+".key", s.Key, 100)
		start, err := time.Parse("15:04", s.Start)
		if err != nil {
			r.add(at+".start", "time", "must be a time, HH:MM")
			continue
		}
		if s.Day < 0 || s.Day >= days {
			r.add(at+".day", "range", "must be 0 to %d", days-1)
			continue
		}
		if s.Minutes < 1 || s.Minutes > minutesPerDay {
			r.add(at+".minutes", "range", "must be 1 to %d", minutesPerDay)
			continue
		}
		r.breaks(at+".breaks", s)
		from := s.Day*minutesPerDay + start.Hour()*60 + start.Minute()
		spans = append(spans, span{i, from, from + s.Minutes})
	}
	r.apart(location, spans, days*minutesPerDay, repeats)
}

func (r *rules) breaks(location string, s directory.Shift) {
	if !r.count(location, len(s.Breaks), maxBreaks) {
		return
	}
	end := 0
	for j, b := range s.Breaks {
		if b.After < end || b.Minutes < 1 || b.After > s.Minutes || b.Minutes > s.Minutes-b.After {
			r.add(fmt.Sprintf("%s[%d]", location, j), "range", "must lie inside the shift, after the break before")
			return // the others are counted from it
		}
		end = b.After + b.Minutes
	}
}

// apart names each shift that begins before one that began earlier has ended. In
// the order of their beginnings it is enough to remember the latest end; where
// the cycle repeats, that of the cycle before reaches into its first shifts.
func (r *rules) apart(location string, spans []span, cycle int, repeats bool) {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Or(a.from-b.from, a.index-b.index) })
	end := 0
	if repeats {
		for _, s := range spans {
			end = max(end, s.to-cycle)
		}
	}
	for _, s := range spans {
		if s.from < end {
			r.add(fmt.Sprintf("%s[%d]", location, s.index), "overlap", "overlaps another shift")
		}
		end = max(end, s.to)
	}
}
