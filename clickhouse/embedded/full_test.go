package embedded_test

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// TestFullDisk fills the disk under the engine (P17 of its store): inserts are
// refused with ClickHouse's code for it, reads go on, no acknowledged row is lost,
// a restart on the full disk finds them too, and inserts are taken again once there
// is room.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	const size = 256 << 20
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
		t.Skipf("a small disk can't be had: mounting a tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	e := embeddedtest.Run(t, dir)
	t.Cleanup(func() { _ = e.Stop() }) // before the disk goes; its end was judged by then
	embeddedtest.Exec(t, e.URL, "CREATE TABLE t (n UInt64, s String) ENGINE = MergeTree ORDER BY n")
	const batch = 20_000
	acked, refused := 0, ""
	insert := func(n int) (int, string) {
		status, out, _ := post(t, e.URL, "query="+url.QueryEscape(fmt.Sprintf("INSERT INTO t SELECT number + %d, randomString(200) FROM numbers(%d)", n*batch, batch)), "")
		return status, out
	}
	ballast := filepath.Join(dir, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 60<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	n := 0
	for ; refused == "" && n < size/batch/200*2; n++ {
		if status, out := insert(n); status == 200 {
			acked++
		} else {
			refused = out
		}
	}
	t.Logf("%d batches of %d rows acknowledged, then: %.150s", acked, batch, refused)
	if acked == 0 || !strings.HasPrefix(refused, "Code: 243.") || !strings.Contains(refused, "NOT_ENOUGH_SPACE") {
		t.Fatalf("the disk is full: %q", refused)
	}
	holds := func(when string) {
		if got, want := embeddedtest.Exec(t, e.URL, "SELECT uniqExact(n), sum(length(s)) / 200 FROM t"), fmt.Sprintf("%d\t%d\n", acked*batch, acked*batch); got != want {
			t.Errorf("%s the table holds %q, want %q", when, got, want)
		}
	}
	holds("on the full disk")
	e.Kill()
	e = embeddedtest.Run(t, dir)
	holds("after kill -9 on the full disk")
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	until(t, time.Minute, "an insert is taken again", func() bool {
		status, _ := insert(n)
		return status == 200
	})
	acked++
	holds("with room again")
}
