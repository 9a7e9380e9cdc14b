package ddl

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/internal/doctor"
)

// Checkup looks at ClickHouse, which so many slots insert into (0: not known):
// whether it answers, its tables with the settings
// that exactly-once rests on, its clock and its disks.
func Checkup(c *clickhouse.Client, slots int) []doctor.Check {
	const mend = "see that ClickHouse runs and that clickhouse.url, user, password and TLS are right"
	return []doctor.Check{
		{Name: "clickhouse.tables", Run: func(ctx context.Context) []doctor.Finding {
			err := Check(ctx, c, slots)
			var answered *clickhouse.Exception
			switch {
			case err == nil:
				return doctor.Fine("tables and settings as they must be")
			case errors.Is(err, clickhouse.ErrUnfit) || errors.As(err, &answered):
				return []doctor.Finding{{Severity: doctor.Error, What: strings.Join(strings.Fields(err.Error()), " "), Means: "the processors refuse to run: a repeated insert could count twice", Mend: "run foodflow migrate; where a table was changed by hand, change it back"}}
			}
			return doctor.Unreachable(err, mend)
		}},
		{Name: "clickhouse.clock", Run: func(ctx context.Context) []doctor.Finding {
			asked := time.Now()
			out, err := c.ExecAnywhere(ctx, "SELECT toUnixTimestamp64Milli(now64(3)), version()")
			if err != nil {
				return doctor.Unreachable(err, mend)
			}
			text, version, _ := strings.Cut(strings.TrimSpace(out), "\t")
			ms, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				return doctor.Unreachable(fmt.Errorf("reading its clock: %w", err), mend)
			}
			found := doctor.Skew(time.UnixMilli(ms), asked.Truncate(time.Millisecond), time.Now())
			return append(found, doctor.Finding{Check: "clickhouse.reachable", What: "is version " + version})
		}},
		{Name: "clickhouse.disk", Run: func(ctx context.Context) []doctor.Finding {
			out, err := c.ExecAnywhere(ctx, "SELECT name, free_space, total_space FROM system.disks WHERE total_space > 0 AND type = 'Local' FORMAT TSV")
			if err != nil {
				return doctor.Unreachable(err, mend)
			}
			var found []doctor.Finding
			for line := range strings.Lines(out) {
				f := strings.Split(strings.TrimSpace(line), "\t")
				if len(f) != 3 {
					continue
				}
				free, err := strconv.ParseUint(f[1], 10, 64)
				total, err2 := strconv.ParseUint(f[2], 10, 64)
				if errors.Join(err, err2) == nil {
					found = append(found, doctor.Room("disk "+f[0], free, total)...)
				}
			}
			return found
		}},
	}
}
