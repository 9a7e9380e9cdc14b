package masterdata

import (
	"fmt"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
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

func checkCalendar(c *Calendar) []fault.Item {
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
	r.shifts("shifts", c.Shifts, c.CycleDays, true)
	dates := map[string]bool{}
	for i, x := range c.Exceptions {
		at := fmt.Sprintf("exceptions[%d]", i)
		r.date(at+".date", x.Date)
		if dates[x.Date] {
			r.add(at+".date", "unique", "has two exceptions")
		}
		dates[x.Date] = true
		r.shifts(at+".shifts", x.Shifts, 1, false)
	}
	return r.items
}

func (r *rules) date(location, v string) {
	if _, err := time.Parse(time.DateOnly, v); err != nil {
		r.add(location, "date", "must be a date, YYYY-MM-DD")
	}
}

const minutesPerDay = 24 * 60

// shifts holds that no shift overlaps another, round the end of the cycle too
// where it repeats, and that breaks lie inside theirs. Wall-clock minutes are compared; a
// daylight-saving change moves both sides alike.
func (r *rules) shifts(location string, shifts []directory.Shift, days int, repeats bool) {
	type span struct{ from, to int }
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
		}
		if s.Minutes < 1 || s.Minutes > minutesPerDay {
			r.add(at+".minutes", "range", "must be 1 to %d", minutesPerDay)
		}
		end := 0
		for j, b := range s.Breaks {
			if b.After < end || b.Minutes < 1 || b.After+b.Minutes > s.Minutes {
				r.add(fmt.Sprintf("%s.breaks[%d]", at, j), "range", "must lie inside the shift, after the break before")
			}
			end = b.After + b.Minutes
		}
		from := s.Day*minutesPerDay + start.Hour()*60 + start.Minute()
		spans = append(spans, span{from, from + s.Minutes})
	}
	cycle := days * minutesPerDay
	for i, a := range spans {
		for _, b := range spans[i+1:] {
			for _, shift := range []int{-cycle, 0, cycle} {
				if a.from < b.to+shift && b.from+shift < a.to && (repeats || shift == 0) {
					r.add(fmt.Sprintf("%s[%d]", location, i), "overlap", "overlaps another shift")
				}
			}
		}
	}
}
