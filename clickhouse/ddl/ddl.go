package ddl

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/foodflow/foodflow/clickhouse"
)

//go:embed sql/*.sql
var files embed.FS

// Options are the parts of the tables that an operator may choose.
type Options struct {
	// RawDays … DailyDays is how long data is kept, by the device's time.
	RawDays, MinuteDays, HourDays, DayDays int
	// Window is how many inserts back a repetition is recognised, per table.
	Window int
}

// DefaultOptions keeps raw readings for half a year. The window covers hours of
// inserts even from a hundred slots at two a second.
func DefaultOptions() Options {
	return Options{RawDays: 180, MinuteDays: 400, HourDays: 5 * 366, DayDays: 20 * 366, Window: 10_000}
}

// Validate names every fault at once.
func (o Options) Validate() error {
	var errs []error
	for name, n := range map[string]int{"raw_days": o.RawDays, "minute_days": o.MinuteDays, "hour_days": o.HourDays, "day_days": o.DayDays} {
		if n < 1 {
			errs = append(errs, fmt.Errorf("clickhouse.%s: must be at least 1", name))
		}
	}
	if o.Window < 100 {
		errs = append(errs, errors.New("clickhouse.window: must be at least 100, or repeated inserts would go unrecognised"))
	}
	return errors.Join(errs...)
}

// Apply makes the database and every table and view that is missing.
func Apply(ctx context.Context, c *clickhouse.Client, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	if _, err := c.ExecAnywhere(ctx, "CREATE DATABASE IF NOT EXISTS `"+c.Database()+"`"); err != nil {
		return fmt.Errorf("creating database: %w", err)
	}
	fill := strings.NewReplacer(
		"{ttl_raw_days}", strconv.Itoa(o.RawDays), "{ttl_1m_days}", strconv.Itoa(o.MinuteDays),
		"{ttl_1h_days}", strconv.Itoa(o.HourDays), "{ttl_1d_days}", strconv.Itoa(o.DayDays), "{window}", strconv.Itoa(o.Window))
	names, err := fs.Glob(files, "sql/*.sql")
	if err != nil {
		return fmt.Errorf("listing statements: %w", err)
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		if _, err := c.Exec(ctx, fill.Replace(string(text)), nil); err != nil {
			return fmt.Errorf("applying %s: %w", name, err)
		}
	}
	return nil
}
