package embedded_test

import (
	"math/rand/v2"
	"net/url"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// TestBadDataIsRefused sends inserts that the engine gives up while data is
// still coming. Each must be answered with its reason, and the engine must live.
func TestBadDataIsRefused(t *testing.T) {
	base, db := embeddedtest.Start(t), embeddedtest.Database(t)
	embeddedtest.Exec(t, base, "CREATE TABLE "+db+".t (a Int32, s String) ENGINE = MergeTree ORDER BY a")
	const size = 4 << 20
	noise := make([]byte, size)
	r := rand.New(rand.NewPCG(1, 1))
	for i := range noise {
		noise[i] = byte(r.Uint32())
	}
	good := strings.Repeat("1\tx\n", size/4)
	for _, tc := range []struct{ name, format, body, want string }{
		{"empty blocks, then data", "Native", strings.Repeat("\x00", size), "INCORRECT_DATA"},
		{"noise", "Native", string(noise), "DB::Exception"},
		{"a block cut short", "Native", "\x02\x03\x01a\x05Int32\x01\x00\x00\x00", "CANNOT_READ_ALL_DATA"},
		{"a bad row far in", "TSV", good + "x\ty\n" + good, "Cannot parse"},
		{"a bad row", "TSV", "x\ty\n", "Cannot parse"},
	} {
		status, out, _ := post(t, base, "database="+db+"&query="+url.QueryEscape("INSERT INTO t FORMAT "+tc.format), tc.body)
		if tc.format == "Native" && tc.body[0] == 0 && status == 200 {
			// An empty block ends the data, as on a server; whether the engine sees that
			// more comes is a matter of time. It held no rows.
			continue
		}
		if (status != 400 && status != 500) || !strings.Contains(out, tc.want) {
			t.Errorf("%s: %d %.200s", tc.name, status, out)
		}
	}
	if status, out, _ := post(t, base, "database="+db, "SELECT 1"); status != 200 || out != "1\n" {
		t.Errorf("afterwards: %d %s", status, out)
	}
}
