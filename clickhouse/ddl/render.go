package ddl

import (
	"fmt"
	"io/fs"
	"strconv"
	"strings"
)

// statement is one file of sql with everything filled in.
type statement struct {
	file string
	text string
}

// render fills the statements in for a database. Statements of the BI database
// are left out when there is none.
func render(database string, o Options) ([]statement, error) {
	names, err := fs.Glob(files, "sql/*.sql")
	if err != nil {
		return nil, fmt.Errorf("listing statements: %w", err)
	}
	fill := strings.NewReplacer(
		"{ttl_raw_days}", strconv.Itoa(o.RawDays), "{ttl_1m_days}", strconv.Itoa(o.MinuteDays),
		"{ttl_1h_days}", strconv.Itoa(o.HourDays), "{ttl_1d_days}", strconv.Itoa(o.DayDays), "{window}", strconv.Itoa(o.Window),
		"{bi}", quote(o.BI), "{database}", quote(database))
	list := make([]statement, 0, len(names))
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		if o.BI == "" && strings.Contains(string(text), "{bi}") {
			continue
		}
		list = append(list, statement{name, o.spread(fill.Replace(string(text)))})
	}
	return list, nil
}

// replicatedSeconds is how long a replicated table remembers a token: an insert
// whose outcome is unknown may be repeated by a processor that was down over a
// long weekend. ClickHouse's own is an hour.
const replicatedSeconds = 7 * 24 * 3600

// spread turns a statement into the one for a cluster.
func (o Options) spread(text string) string {
	if o.Cluster == "" {
		return text
	}
	for _, head := range []string{"CREATE TABLE IF NOT EXISTS ", "CREATE MATERIALIZED VIEW IF NOT EXISTS ", "CREATE OR REPLACE VIEW ", "CREATE DATABASE IF NOT EXISTS "} {
		before, rest, ok := strings.Cut(text, head)
		if !ok {
			continue
		}
		end := strings.IndexAny(rest, " \n")
		if end < 0 {
			end = len(rest)
		}
		text = before + head + rest[:end] + " ON CLUSTER " + quote(o.Cluster) + rest[end:]
	}
	return strings.NewReplacer(
		"ENGINE = MergeTree", "ENGINE = ReplicatedMergeTree", "ENGINE = AggregatingMergeTree", "ENGINE = ReplicatedAggregatingMergeTree",
		"non_replicated_deduplication_window = ", fmt.Sprintf("replicated_deduplication_window_seconds = %d, replicated_deduplication_window = ", replicatedSeconds),
	).Replace(text)
}

func quote(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}

// line gives the text behind a clause that stands on a line of its own.
func line(text, clause string) (string, bool) {
	_, rest, ok := strings.Cut(text, "\n"+clause+" ")
	if !ok {
		return "", false
	}
	found, _, _ := strings.Cut(rest, "\n")
	return found, true
}
