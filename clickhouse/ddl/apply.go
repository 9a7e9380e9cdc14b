package ddl

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/foodflow/foodflow/clickhouse"
)

// Apply makes the database and every table and view that is missing, and brings
// TTL and settings of those that are there to what o and the statements say. It
// never drops a table or a column.
func Apply(ctx context.Context, c *clickhouse.Client, o Options) error {
	if err := o.Validate(); err != nil {
		return err
	}
	if _, err := c.ExecAnywhere(ctx, o.spread("CREATE DATABASE IF NOT EXISTS "+quote(c.Database()))); err != nil {
		return fmt.Errorf("creating database: %w", err)
	}
	list, err := render(c.Database(), o)
	if err != nil {
		return err
	}
	for _, s := range list {
		if _, err := c.Exec(ctx, s.text, nil); err != nil {
			return fmt.Errorf("applying %s: %w", s.file, err)
		}
	}
	found, err := tables(ctx, c)
	if err != nil {
		return err
	}
	for _, s := range list {
		if err := align(ctx, c, o, s, found); err != nil {
			return err
		}
	}
	return nil
}

// align changes what an existing table has otherwise than its statement.
func align(ctx context.Context, c *clickhouse.Client, o Options, s statement, found map[string]table) error {
	_, rest, ok := strings.Cut(s.text, "CREATE TABLE IF NOT EXISTS ")
	if !ok {
		return nil
	}
	name := strings.Fields(rest)[0]
	t, ok := found[name]
	if !ok {
		return fmt.Errorf("table %s was made and is not there", name)
	}
	alter := "ALTER TABLE " + name
	if o.Cluster != "" {
		alter += " ON CLUSTER " + quote(o.Cluster)
	}
	ttl, _ := line(s.text, "TTL")
	if want := between(ttl, "INTERVAL ", " DAY"); want != between(t.EngineFull, "toIntervalDay(", ")") {
		if _, err := c.Exec(ctx, alter+" MODIFY TTL "+ttl, nil); err != nil {
			return fmt.Errorf("changing the TTL of %s: %w", name, err)
		}
	}
	settings, _ := line(s.text, "SETTINGS")
	for pair := range strings.SplitSeq(settings, ", ") {
		setting, value, _ := strings.Cut(pair, " = ")
		if t.replicated() && setting == "non_replicated_deduplication_window" {
			setting = "replicated_deduplication_window"
		}
		want, err := strconv.Atoi(value)
		if err != nil {
			return fmt.Errorf("reading setting %s of %s: %w", setting, s.file, err)
		}
		if number(t.EngineFull, setting) == want {
			continue
		}
		if _, err := c.Exec(ctx, alter+" MODIFY SETTING "+setting+" = "+value, nil); err != nil {
			return fmt.Errorf("changing setting %s of %s: %w", setting, name, err)
		}
	}
	return nil
}

// between gives the text between two others, "" without them.
func between(s, before, after string) string {
	_, rest, _ := strings.Cut(s, before)
	found, _, ok := strings.Cut(rest, after)
	if !ok {
		return ""
	}
	return found
}
