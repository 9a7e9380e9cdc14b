package embedded_test

import (
	"encoding/json"
	"strings"
	"testing"

	chcompress "github.com/ClickHouse/ch-go/compress"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// TestLargeAnswersAreOne asks for more rows than the engine gives in one piece:
// headers and frames must be there once.
func TestLargeAnswersAreOne(t *testing.T) {
	base := embeddedtest.Start(t)
	const rows = 300_000
	query := "SELECT number AS mark FROM numbers(300000) FORMAT "
	for format, marks := range map[string]int{
		"CSVWithNames": 1, "TSVWithNamesAndTypes": 1, "RowBinaryWithNames": 1, "RowBinaryWithNamesAndTypes": 1,
		"JSONCompactEachRowWithNames": 1, "JSON": rows + 1, "JSONCompact": 1, "JSONEachRow": rows, "XML": 2*rows + 1,
		"Markdown": 1, "JSONColumns": 1,
	} {
		status, body, _ := post(t, base, "", query+format)
		if got := strings.Count(body, "mark"); status != 200 || got != marks {
			t.Errorf("%s: status %d, the column's name is there %d times, want %d", format, status, got, marks)
		}
		if format == "JSON" {
			var doc struct{ Rows int }
			if err := json.Unmarshal([]byte(body), &doc); err != nil || doc.Rows != rows {
				t.Errorf("JSON: %v, %d rows", err, doc.Rows)
			}
		}
	}
	_, body, _ := post(t, base, "output_format_json_array_of_rows=1", query+"JSONEachRow")
	var list []any
	if err := json.Unmarshal([]byte(body), &list); err != nil || len(list) != rows {
		t.Errorf("an array of rows: %v, %d", err, len(list))
	}
}

// TestFramedBodies sends statements and data in ClickHouse's own framing, whole
// and cut off.
func TestFramedBodies(t *testing.T) {
	base, db := embeddedtest.Start(t), embeddedtest.Database(t)
	embeddedtest.Exec(t, base, "CREATE TABLE "+db+".t (a UInt64) ENGINE = MergeTree ORDER BY a")
	for _, m := range []chcompress.Method{chcompress.LZ4, chcompress.ZSTD, chcompress.None} {
		w := chcompress.NewWriter(chcompress.LevelZero, m)
		if err := w.Compress([]byte("INSERT INTO t FORMAT TSV\n1\n")); err != nil {
			t.Fatal(err)
		}
		body := string(w.Data)
		if err := w.Compress([]byte("2\n")); err != nil {
			t.Fatal(err)
		}
		second := string(w.Data)
		if status, out, _ := post(t, base, "decompress=1&database="+db, body+second); status != 200 {
			t.Errorf("%v: %d %s", m, status, out)
		}
		for _, cut := range []int{1, 16, 25, len(second) - 1} {
			if status, out, _ := post(t, base, "decompress=1&database="+db, body+second[:cut]); status == 200 {
				t.Errorf("%v: a body cut %d bytes into its second block was taken: %s", m, cut, out)
			}
		}
	}
	if got := embeddedtest.Exec(t, base, "SELECT count(), sum(a) FROM "+db+".t"); got != "6\t9\n" {
		t.Errorf("the table holds %q", got)
	}
}
