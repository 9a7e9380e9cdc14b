package ddl

import (
	"embed"
	"errors"
	"fmt"
)

//go:embed sql/*.sql
var files embed.FS

// Options are the parts of the tables that an operator may choose.
type Options struct {
	// RawDays … DayDays is how long data is kept, by the device's time.
	RawDays, MinuteDays, HourDays, DayDays int
	// Window is how many inserts back a repetition is recognised, per table.
	Window int
	// BI names the database of the analysts' views; "" makes none.
	BI string
	// Cluster makes replicated tables on a cluster of this name; "" makes
	// tables of one server. The servers' default_replica_path places them.
	Cluster string
}

// DefaultOptions keeps raw readings for half a year, and a window for as many
// slots (partitions of the readings' topic) as insert.
func DefaultOptions(slots int) Options {
	return Options{RawDays: 180, MinuteDays: 400, HourDays: 5 * 366, DayDays: 20 * 366, Window: WindowFor(slots), BI: "bi"}
}

// What a window has to cover: all slots share a table's, each inserts at most so
// often (the processors close a batch every 350 ms), together no more often than
// ClickHouse merges, and an insert whose outcome is unknown comes again within
// ten minutes, a change of its owner included.
const (
	slotInserts  = 3   // a second
	tableInserts = 200 // a second
	repeatWithin = 600 // seconds
)

// WindowFor gives the least window of a table that so many slots insert into.
func WindowFor(slots int) int {
	return max(10_000, repeatWithin*min(slotInserts*slots, tableInserts))
}

// Validate names every fault at once.
func (o Options) Validate() error {
	var errs []error
	for _, d := range []struct {
		name string
		days int
	}{{"raw_days", o.RawDays}, {"minute_days", o.MinuteDays}, {"hour_days", o.HourDays}, {"day_days", o.DayDays}} {
		if d.days < 1 {
			errs = append(errs, fmt.Errorf("clickhouse.%s: must be at least 1", d.name))
		}
	}
	if least := WindowFor(0); o.Window < least {
		errs = append(errs, fmt.Errorf("clickhouse.window: must be at least %d, or repeated inserts would go unrecognised", least))
	}
	return errors.Join(errs...)
}
