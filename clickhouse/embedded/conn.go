package embedded

import (
	"maps"
	"slices"
	"strings"

	"github.com/foodflow/foodflow/clickhouse/embedded/chdb"
)

// conn is a connection and what was set on it. It belongs to whoever took it
// from the pool.
type conn struct {
	*chdb.Conn
	tag      string            // names the connection in system.processes, see killer
	database string            // in force; "" when not known
	settings map[string]string // what requests set and hasn't been taken back
	reset    func(name string) string
}

// apply gives the connection what a request asks for, and takes back what an
// earlier one did. Most requests of a client ask for the same, so this is mostly
// nothing. After an error the connection is of no use.
func (c *conn) apply(database string, settings map[string]string) error {
	if database != "" && database != c.database {
		if err := c.Do("USE " + quoteName(database)); err != nil {
			return err
		}
		c.database = database
	}
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if old, there := c.settings[name]; !there || old != settings[name] {
			changes = append(changes, name+" = "+quoteText(settings[name]))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.settings)) {
		if _, wanted := settings[name]; !wanted {
			changes = append(changes, name+" = "+c.reset(name))
		}
	}
	if len(changes) == 0 {
		return nil
	}
	if err := c.Do("SET " + strings.Join(changes, ", ")); err != nil {
		return err
	}
	c.settings = settings
	return nil
}

// distance says how much would have to be set for a request.
func (c *conn) distance(database string, settings map[string]string) int {
	n := 0
	if database != "" && database != c.database {
		n += 8 // USE costs as much as many settings
	}
	for name, value := range settings {
		if old, there := c.settings[name]; !there || old != value {
			n++
		}
	}
	for name := range c.settings {
		if _, wanted := settings[name]; !wanted {
			n++
		}
	}
	return n
}

// sticky are settings that can't be taken back: what they forbid, or stand for
// here, outlives a DEFAULT.
func sticky(settings map[string]string) bool {
	for _, name := range []string{"readonly", "profile", "allow_ddl", tagSetting} {
		if _, there := settings[name]; there {
			return true
		}
	}
	return false
}

func quoteName(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(s) + "`"
}

func quoteText(s string) string {
	return "'" + strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace(s) + "'"
}
