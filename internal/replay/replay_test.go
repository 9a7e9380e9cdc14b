package replay_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/foodflow/foodflow/internal/feed"
	"github.com/foodflow/foodflow/internal/replay"
)

func TestReadTakesWhatLoggersWrite(t *testing.T) {
	const jan = int64(1_767_225_600_000)
	for name, c := range map[string]struct {
		body    string
		columns replay.Columns
		want    []replay.Row
		fails   string
	}{
		"nab":                   {"timestamp,value\n2026-01-01 00:00:00,1.5\n2026-01-01 00:05:00,2\n", replay.Columns{}, []replay.Row{{jan, 1.5}, {jan + 300_000, 2}}, ""},
		"rfc 3339 with a zone":  {"ts,value\n2026-01-01T01:00:00.250+01:00,1\n", replay.Columns{}, []replay.Row{{jan + 250, 1}}, ""},
		"a mark before, spaces": {"\ufeffTime, Temp\n2026-01-01T00:00:00Z, -3e2\n", replay.Columns{}, []replay.Row{{jan, -300}}, ""},
		"named columns":         {"a,when,b\n1,1767225600,2\n", replay.Columns{Time: "when", Value: "B"}, []replay.Row{{jan, 2}}, ""},
		"milliseconds":          {"ts,value\n1767225600000,2\n", replay.Columns{}, []replay.Row{{jan, 2}}, ""},
		"out of order, a gap":   {"ts,value\n1767225601,2\n1767225602,\n1767225600,1\n", replay.Columns{}, []replay.Row{{jan, 1}, {jan + 1000, 2}}, ""},
		"no time":               {"a,b\n1,2\n", replay.Columns{}, nil, "no column for the time"},
		"no value":              {"ts\n1\n", replay.Columns{}, nil, "no column for the value"},
		"no such value":         {"ts,value\n1,2\n", replay.Columns{Value: "x"}, nil, "no column for the value"},
		"no rows":               {"ts,value\n", replay.Columns{}, nil, "no rows"},
		"a word":                {"ts,value\n1767225600,1\n1767225600,warm\n", replay.Columns{}, nil, "line 3"},
		"not a number":          {"ts,value\n1767225600,NaN\n", replay.Columns{}, nil, "line 2"},
		"not a time":            {"ts,value\nyesterday,1\n", replay.Columns{}, nil, "line 2"},
		"ragged":                {"ts,value\n1767225600\n", replay.Columns{}, nil, "wrong number of fields"},
		"empty":                 {"", replay.Columns{}, nil, "header"},
	} {
		t.Run(name, func(t *testing.T) {
			var zipped bytes.Buffer
			z := gzip.NewWriter(&zipped)
			if _, err := z.Write([]byte(c.body)); err != nil {
				t.Fatal(err)
			}
			z.Close()
			for _, in := range []*bytes.Buffer{bytes.NewBufferString(c.body), &zipped} {
				rows, err := replay.Read(in, c.columns)
				if c.fails != "" {
					if err == nil || !strings.Contains(err.Error(), c.fails) {
						t.Errorf("got %v, want %q", err, c.fails)
					}
					continue
				}
				if err != nil || len(rows) != len(c.want) {
					t.Fatalf("%v, %v", rows, err)
				}
				for i := range rows {
					if rows[i] != c.want[i] {
						t.Errorf("row %d is %v, want %v", i, rows[i], c.want[i])
					}
				}
			}
		})
	}
}

func TestTheRecordingIsWhole(t *testing.T) {
	rows, err := replay.MachineTemperature()
	if err != nil {
		t.Fatal(err)
	}
	first, last := time.UnixMilli(rows[0].TS).UTC(), time.UnixMilli(rows[len(rows)-1].TS).UTC()
	if len(rows) != 22_695 || first.Format(time.DateTime) != "2013-12-02 21:15:00" || last.Format(time.DateTime) != "2014-02-19 15:25:00" || rows[0].Value != 73.96732207 {
		t.Errorf("%d rows from %s to %s", len(rows), first, last)
	}
}

// taker takes readings; the call failAt is taken and answered with an error.
type taker struct {
	got    []feed.Reading
	at     []time.Time
	calls  int
	failAt int
	most   int
}

var errCut = errors.New("cut")

func (k *taker) Readings(_ context.Context, r []feed.Reading) error {
	k.got = append(k.got, r...)
	for range r {
		k.at = append(k.at, time.Now())
	}
	k.most = max(k.most, len(r))
	if k.calls++; k.calls == k.failAt {
		return errCut
	}
	return nil
}

func rowsOf(n int) []replay.Row {
	rows := make([]replay.Row, n)
	for i := range rows {
		rows[i] = replay.Row{TS: int64(i) * 300_000, Value: float64(i)}
	}
	return rows
}

func deps(to replay.Sender) replay.Deps {
	return replay.Deps{Sender: to, Logger: slog.New(slog.DiscardHandler)}
}

// The last row is now, and what is sent twice is the same and within what the
// processors remember of a sensor.
func TestEndsNowAndGoesOnAfterACut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		synctest.Test(t, func(t *testing.T) {
			rows := rowsOf(rapid.IntRange(1, 300).Draw(rt, "rows"))
			cfg := replay.Config{Sensor: "x", At: replay.Now, State: filepath.Join(t.TempDir(), "s", "replay.json")}
			began := time.Now().UnixMilli()
			to := &taker{}
			for range 4 {
				to.failAt = to.calls + rapid.IntRange(1, 6).Draw(rt, "call")
				if err := replay.Run(t.Context(), cfg, deps(to), rows); err != nil && !errors.Is(err, errCut) {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
			}
			to.failAt = 0
			if err := replay.Run(t.Context(), cfg, deps(to), rows); err != nil {
				t.Fatal(err)
			}
			calls := to.calls
			if err := replay.Run(t.Context(), cfg, deps(to), rows); err != nil || to.calls != calls {
				t.Fatalf("played again: %v", err)
			}
			seen := map[int64]feed.Reading{}
			high := int64(-1)
			for _, r := range to.got {
				if old, ok := seen[r.Seq]; ok && old != r {
					t.Fatalf("%v and %v", old, r)
				}
				if high-r.Seq >= 32 {
					t.Fatalf("a copy comes %d readings late", high-r.Seq)
				}
				seen[r.Seq], high = r, max(high, r.Seq)
			}
			last := seen[int64(len(rows)-1)]
			if len(seen) != len(rows) || last.TS != began || last.Value != float64(len(rows)-1) || seen[0].TS != began-rows[len(rows)-1].TS {
				t.Fatalf("%d of %d rows, last %v", len(seen), len(rows), last)
			}
		})
	})
}

// At a speed, each row is sent when it is due and not before.
func TestKeepsItsSpeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		to := &taker{}
		began := time.Now()
		if err := replay.Run(t.Context(), replay.Config{Sensor: "x", At: replay.Original, Speed: 100}, deps(to), rowsOf(50)); err != nil {
			t.Fatal(err)
		}
		for i, r := range to.got {
			want := time.Duration(i) * 3 * time.Second
			if r.TS != int64(i)*300_000 || to.at[i].Sub(began) < want || to.at[i].Sub(began) > want+10*time.Millisecond {
				t.Errorf("row %d (%v) went out after %v, want %v", i, r, to.at[i].Sub(began), want)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := replay.Run(ctx, replay.Config{Sensor: "x", At: replay.Original, Speed: 1}, deps(to), rowsOf(50)); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

// Another recording under the same state file is played from its beginning.
func TestAnotherRecordingBeginsAnew(t *testing.T) {
	to := &taker{}
	cfg := replay.Config{Sensor: "x", At: replay.Original, State: filepath.Join(t.TempDir(), "replay.json")}
	for _, n := range []int{50, 60} {
		if err := replay.Run(t.Context(), cfg, deps(to), rowsOf(n)); err != nil {
			t.Fatal(err)
		}
	}
	if len(to.got) != 110 {
		t.Errorf("sent %d rows", len(to.got))
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	err := replay.Config{Speed: -1, At: "later"}.Validate()
	for _, want := range []string{"replay.sensor", "replay.speed", "replay.at"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %s", err, want)
		}
	}
}

// FuzzRead: no file brings the reader down, and what it gives is finite and in
// order.
func FuzzRead(f *testing.F) {
	f.Add([]byte("timestamp,value\n2026-01-01 00:00:00,1.5\n"))
	f.Add([]byte("\x28\xb5\x2f\xfd"))
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(t *testing.T, body []byte) {
		rows, err := replay.Read(bytes.NewReader(body), replay.Columns{})
		if err != nil {
			return
		}
		for i, r := range rows {
			if r.Value != r.Value || i > 0 && rows[i-1].TS > r.TS {
				t.Errorf("row %d is %v", i, r)
			}
		}
	})
}
