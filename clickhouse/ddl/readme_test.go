package ddl_test

import (
	"os"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/clickhouse/ddl"
)

// TestReadmeQuery runs the query that the chapter tells operators to run.
func TestReadmeQuery(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, ok := strings.Cut(string(text), "```sql\n")
	q, _, closed := strings.Cut(rest, "```")
	if !ok || !closed {
		t.Fatal("the chapter holds no query")
	}
	c := client(t)
	if err := ddl.Apply(t.Context(), c, ddl.DefaultOptions(8)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Exec(t.Context(), "INSERT INTO readings (ts, _partition, _offset) SELECT now64(3), 3, n FROM (SELECT arrayJoin([5, 6, 6, 9]) AS n)", nil); err != nil {
		t.Fatal(err)
	}
	got, err := c.Exec(t.Context(), strings.ReplaceAll(q, "foodflow.", c.Database()+"."), nil)
	if err != nil || got != "3\t4\t3\t1\t2\n" {
		t.Errorf("got %q, %v", got, err)
	}
}
