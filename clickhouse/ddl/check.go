package ddl

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/foodflow/foodflow/clickhouse"
)

// The first version whose deduplication reaches the targets of
// several views from one token (24.8, August 2024).
const (
	minYear  = 24
	minMonth = 8
)

// table is what ClickHouse says of one of our tables.
type table struct {
	Name       string `json:"name"`
	Engine     string `json:"engine"`
	EngineFull string `json:"engine_full"`
	Query      string `json:"create_table_query"`
}

func (t *table) replicated() bool {
	return strings.HasPrefix(t.Engine, "Replicated") || strings.HasPrefix(t.Engine, "Shared")
}

// deduplicated lists the tables that inserts with tokens reach, directly or
// through a view.
func deduplicated() []string {
	return []string{"readings", "readings_1m", "readings_1h", "readings_1d", "line_events", "anomalies", "oee_parts"}
}

// views lists the materialized views with their targets.
func views() map[string]string {
	return map[string]string{"readings_1h_mv": "readings_1h", "readings_1d_mv": "readings_1d"}
}

// Check refuses a database on which a repeated insert of one of so many slots
// could count twice, or a rollup could miss readings, with clickhouse.ErrUnfit; each fault in it names
// the table and the setting. Any other error says that nothing was found out.
func Check(ctx context.Context, c *clickhouse.Client, slots int) error {
	found, err := tables(ctx, c)
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range deduplicated() {
		errs = append(errs, checkTable(name, found[name], WindowFor(slots)))
	}
	for view, target := range views() {
		errs = append(errs, checkView(view, target, c.Database(), found))
	}
	for name, t := range found {
		if _, ours := views()[name]; !ours && t.Engine == "MaterializedView" {
			errs = append(errs, checkForeignView(name, &t, found, WindowFor(slots)))
		}
	}
	server, err := checkServer(ctx, c)
	if err != nil {
		return err
	}
	if err := errors.Join(append(errs, server...)...); err != nil {
		return fmt.Errorf("%w: %w", clickhouse.ErrUnfit, err)
	}
	return nil
}

func tables(ctx context.Context, c *clickhouse.Client) (map[string]table, error) {
	out, err := c.Exec(ctx, "SELECT name, engine, engine_full, create_table_query FROM system.tables WHERE database = currentDatabase() FORMAT JSONEachRow", nil)
	if err != nil {
		return nil, fmt.Errorf("reading tables: %w", err)
	}
	found := map[string]table{}
	for line := range strings.Lines(out) {
		var t table
		if err := json.Unmarshal([]byte(line), &t); err != nil {
			return nil, fmt.Errorf("reading tables: %w", err)
		}
		found[t.Name] = t
	}
	return found, nil
}

func checkTable(name string, t table, window int) error {
	setting, own := "non_replicated_deduplication_window", 0
	switch {
	case t.Name == "":
		return fmt.Errorf("table %s is missing", name)
	case t.replicated():
		setting, own = "replicated_deduplication_window", 10_000 // ClickHouse's default
	}
	n := number(t.EngineFull, setting)
	if n < 0 {
		n = own
	}
	if n < window {
		return fmt.Errorf("table %s: %s is %d, must be at least %d: a repeated insert would count twice; foodflow migrate sets it", name, setting, n, window)
	}
	return nil
}

func checkView(name, target, database string, found map[string]table) error {
	v, ok := found[name]
	switch {
	case !ok:
		return fmt.Errorf("view %s is missing: %s would stay empty", name, target)
	case !strings.Contains(strings.ReplaceAll(v.Query, "`", ""), " TO "+database+"."+target+" "):
		return fmt.Errorf("view %s does not feed %s", name, target)
	}
	return nil
}

// checkForeignView finds views of other people on our tables whose own table
// forgets tokens: what they sum would count repetitions.
func checkForeignView(name string, v *table, found map[string]table, window int) error {
	_, to, ok := strings.Cut(strings.ReplaceAll(v.Query, "`", ""), " TO ")
	if !ok {
		return fmt.Errorf("view %s keeps its rows in a table of its own, which has no deduplication window: a repeated insert would count twice in it", name)
	}
	target, _, _ := strings.Cut(to, " ")
	if _, bare, ok := strings.Cut(target, "."); ok {
		target = bare
	}
	if t, ok := found[target]; ok {
		return checkTable(target, t, window)
	}
	return nil
}

// checkServer asks with the settings of an insert, so that a profile or
// constraint that forbids one of them is found now.
func checkServer(ctx context.Context, c *clickhouse.Client) ([]error, error) {
	settings := clickhouse.InsertSettings("")
	settings.Del("insert_deduplication_token")
	out, err := c.Exec(ctx, "SELECT version(), getSetting('insert_deduplicate'), getSetting('deduplicate_blocks_in_dependent_materialized_views'), getSetting('async_insert') FORMAT TSV", settings)
	var refused *clickhouse.Exception
	if errors.As(err, &refused) && !clickhouse.IsTransient(err) {
		return []error{fmt.Errorf("this user may not insert with the settings that exactly-once rests on: %w", err)}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading settings: %w", err)
	}
	f := strings.Split(strings.TrimSpace(out), "\t")
	if len(f) != 4 {
		return nil, fmt.Errorf("reading settings: %q", out)
	}
	var errs []error
	if !newEnough(f[0]) {
		errs = append(errs, fmt.Errorf("ClickHouse %s is too old: want %d.%d or later, which carries tokens to the targets of views", f[0], minYear, minMonth))
	}
	for i, want := range []struct{ name, value string }{{"insert_deduplicate", "true"}, {"deduplicate_blocks_in_dependent_materialized_views", "true"}, {"async_insert", "false"}} {
		if f[i+1] != want.value {
			errs = append(errs, fmt.Errorf("setting %s is %s for this user and can't be changed, must be %s: a repeated insert would count twice", want.name, f[i+1], want.value))
		}
	}
	// A newer setting that overrides insert_deduplicate; older servers lack it.
	mode, err := c.Exec(ctx, "SELECT value FROM system.settings WHERE name = 'deduplicate_insert' FORMAT TSV", url.Values{})
	if err != nil {
		return nil, fmt.Errorf("reading settings: %w", err)
	}
	if strings.TrimSpace(mode) == "disable" {
		errs = append(errs, errors.New("setting deduplicate_insert is disable for this user, which overrides insert_deduplicate: a repeated insert would count twice"))
	}
	return errs, nil
}

func newEnough(version string) bool {
	year, rest, _ := strings.Cut(version, ".")
	month, _, _ := strings.Cut(rest, ".")
	y, err1 := strconv.Atoi(year)
	m, err2 := strconv.Atoi(month)
	return err1 == nil && err2 == nil && (y > minYear || y == minYear && m >= minMonth)
}

// number finds a numeric setting in a table's definition; -1 when it is not
// set.
func number(engineFull, setting string) int {
	for _, lead := range []string{" ", ","} {
		if _, rest, ok := strings.Cut(engineFull, lead+setting+" = "); ok {
			end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
			if end < 0 {
				end = len(rest)
			}
			if n, err := strconv.Atoi(rest[:end]); err == nil {
				return n
			}
		}
	}
	return -1
}
