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

// deduplicated lists the tables that inserts with tokens reach, directly or
// through a view.
func deduplicated() []string {
	return []string{"readings", "readings_1m", "readings_1h", "readings_1d", "line_events", "anomalies", "oee_parts"}
}

// Check refuses a database on which a repeated insert could count twice. Each
// fault names table and setting.
func Check(ctx context.Context, c *clickhouse.Client) error {
	out, err := c.Exec(ctx, "SELECT name, engine, engine_full FROM system.tables WHERE database = currentDatabase() FORMAT TSVRaw", nil)
	if err != nil {
		return fmt.Errorf("reading tables: %w", err)
	}
	found := map[string][2]string{}
	for line := range strings.Lines(out) {
		f := strings.SplitN(strings.TrimSpace(line), "\t", 3)
		if len(f) == 3 {
			found[f[0]] = [2]string{f[1], f[2]}
		}
	}
	var errs []error
	for _, table := range deduplicated() {
		t, ok := found[table]
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("table %s is missing", table))
		case strings.HasPrefix(t[0], "Replicated"), strings.HasPrefix(t[0], "Shared"):
		case window(t[1]) < 100:
			errs = append(errs, fmt.Errorf("table %s: non_replicated_deduplication_window is %d, must be at least 100: a repeated insert would count twice", table, window(t[1])))
		}
	}
	out, err = c.Exec(ctx, "SELECT getSetting('insert_deduplicate')", nil)
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("reading settings: %w", err))...)
	}
	if strings.TrimSpace(out) != "true" {
		errs = append(errs, errors.New("setting insert_deduplicate is off for this user: a repeated insert would count twice"))
	}
	return errors.Join(errs...)
}

// window finds the deduplication window in a table's definition.
func window(engineFull string) int {
	_, rest, ok := strings.Cut(engineFull, "non_replicated_deduplication_window = ")
	if !ok {
		return 0
	}
	digits := rest
	if i := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' }); i >= 0 {
		digits = rest[:i]
	}
	n, _ := strconv.Atoi(digits) // digits only
	return n
}
