package httpin

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hamba/avro/v2/ocf"
	"github.com/klauspost/compress/zstd"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// sink takes every batch and counts its records.
type sink struct{ records atomic.Int64 }

func (s *sink) Publish(_ context.Context, _ string, b *ingest.Batch) error {
	s.records.Add(int64(b.Len()))
	return nil
}

func (s *sink) Begin(ctx context.Context, topic string, b *ingest.Batch, done func(error)) {
	done(s.Publish(ctx, topic, b))
}

// door is a server of one tenant with a sensor "temp" and a line "bottling",
// whose broker takes everything.
type door struct {
	http.Handler
	key  string
	sink *sink
	now  int64
}

func newDoor(t testing.TB) *door {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	store, key, err := onePlant()
	if err != nil {
		t.Fatal(err)
	}
	d := &door{key: key, sink: &sink{}, now: time.Now().UnixMilli()}
	svc, err := ingest.NewService(store, codec, d.sink, ingest.DefaultLimits(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	d.Handler = New(DefaultConfig(), svc, slog.New(slog.DiscardHandler)).routes()
	return d
}

// onePlant is the directory of such a door, and its key.
func onePlant() (*directory.Store, string, error) {
	store, key := directory.NewStore(), directory.NewKey()
	tenant, line := plant.NewID(), plant.NewID()
	err := directorytest.Enter(store,
		directory.Tenant{ID: tenant, Key: "acme"},
		directory.Line{ID: line, Tenant: tenant, Key: "bottling", TimeZone: "UTC", Unit: "bottle"},
		directory.Sensor{ID: plant.NewID(), Tenant: tenant, Line: line, Key: "temp", Unit: "degC", Kind: "temperature"},
		directory.APIKey{ID: plant.NewID(), Tenant: tenant, Public: key.Public, Hash: key.Hash(), Scopes: []string{directory.ScopeIngest}},
	)
	return store, key.Reveal(), err
}

// send posts a body and checks what every answer must keep: never a 5xx, and a
// refusal in problem form.
func (d *door) send(t testing.TB, path, media, encoding string, body []byte) int {
	t.Helper()
	req := httptest.NewRequestWithContext(context.Background(), http.MethodPost, path, bytes.NewReader(body))
	req.Header.Set("X-API-Key", d.key)
	req.Header.Set("Content-Type", media)
	if encoding != "" {
		req.Header.Set("Content-Encoding", encoding)
	}
	rec := httptest.NewRecorder()
	d.ServeHTTP(rec, req)
	if rec.Code >= http.StatusInternalServerError {
		t.Fatalf("%s %s: %d %s", path, media, rec.Code, rec.Body)
	}
	if rec.Code != http.StatusAccepted {
		var p struct {
			Status int    `json:"status"`
			Title  string `json:"title"`
		}
		if err := json.Unmarshal(rec.Body.Bytes(), &p); err != nil || p.Status != rec.Code || rec.Header().Get("Content-Type") != "application/problem+json" {
			t.Fatalf("%d is no problem document: %s", rec.Code, rec.Body)
		}
	}
	return rec.Code
}

func avroFile(t testing.TB, d *door, n int) []byte { return avroFileOf(t, "temp", d.now, n) }

func avroFileOf(t testing.TB, sensor string, now int64, n int) []byte {
	t.Helper()
	all, err := schemas.Versions("ingest_reading")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	enc, err := ocf.NewEncoder(all[len(all)-1], &b, ocf.WithCodec(ocf.Deflate))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if err := enc.Encode(map[string]any{"sensor": sensor, "ts": now, "value": float64(i), "quality": nil, "seq": nil}); err != nil {
			t.Fatal(err)
		}
	}
	if err := enc.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t testing.TB, b []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	if _, err := w.Write(b); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestFormats: the same readings in every format and encoding are accepted.
func TestFormats(t *testing.T) {
	d := newDoor(t)
	one := fmt.Sprintf(`{"sensor":"temp","ts":%d,"value":1}`, d.now)
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	for media, body := range map[string][]byte{
		"application/json":     []byte(`{"readings":[` + one + "," + one + `]}`),
		"application/x-ndjson": []byte(one + "\n" + one + "\n"),
		"application/avro":     avroFile(t, d, 2),
	} {
		for encoding, sent := range map[string][]byte{"": body, "gzip": gzipped(t, body), "zstd": enc.EncodeAll(body, nil)} {
			before := d.sink.records.Load()
			if code := d.send(t, "/v1/readings", media, encoding, sent); code != http.StatusAccepted {
				t.Errorf("%s %q: %d", media, encoding, code)
			}
			if got := d.sink.records.Load() - before; got != 2 {
				t.Errorf("%s %q: %d records published, want 2", media, encoding, got)
			}
		}
	}
	if code := d.send(t, "/v1/readings", "text/csv", "", []byte("a,b")); code != http.StatusUnsupportedMediaType {
		t.Errorf("CSV: %d, want 415", code)
	}
}

// TestBombs is S11 and S12 at the door: bodies that swell or lie are refused
// within bounded memory, and nothing of them is published.
func TestBombs(t *testing.T) {
	d := newDoor(t)
	gz, zs := bomb(t), zstdBomb(t)
	avro := avroFile(t, d, 3)
	for name, tc := range map[string]struct {
		media, encoding string
		body            []byte
		want            int
	}{
		"gzip bomb":          {"application/json", "gzip", gz, 413},
		"zstd bomb":          {"application/json", "zstd", zs, 413},
		"gzip bomb as avro":  {"application/avro", "gzip", gz, 413},
		"deep JSON":          {"application/json", "", []byte(`{"readings":` + strings.Repeat("[", 1_000_000)), 400},
		"deep objects":       {"application/json", "", []byte(`{"readings":[` + strings.Repeat(`{"x":`, 500_000)), 400},
		"JSON as avro":       {"application/avro", "", []byte(`{"readings":[]}`), 400},
		"cut avro":           {"application/avro", "", avro[:len(avro)-9], 400},
		"avro length lies":   {"application/avro", "", append([]byte("Obj\x01\x02"), 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f), 413},
		"events as readings": {"application/avro", "", bytes.Replace(avro, []byte(`"sensor"`), []byte(`"censor"`), 1), 422},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if code := d.send(t, "/v1/readings", tc.media, tc.encoding, tc.body); code != tc.want {
				t.Errorf("answered %d, want %d", code, tc.want)
			}
			runtime.ReadMemStats(&after)
			// Decoded bodies may have 64 MiB, and a buffer doubles on its way there,
			// in a race build by way of a copy. Unbounded it would be 1 GiB.
			if took := after.TotalAlloc - before.TotalAlloc; took > 600<<20 {
				t.Errorf("took %d MiB", took>>20)
			}
		})
	}
	if n := d.sink.records.Load(); n != 0 {
		t.Errorf("%d records of refused bodies were published", n)
	}
}

// FuzzBody sends anything in every format to both routes (S22).
func FuzzBody(f *testing.F) {
	d := newDoor(f)
	for i, body := range [][]byte{
		[]byte(fmt.Sprintf(`{"readings":[{"sensor":"temp","ts":%d,"value":1e3,"quality":"bad","seq":1}]}`, d.now)),
		[]byte(fmt.Sprintf(`{"events":[{"line":"bottling","ts":%d,"type":"count","good":1}]}`, d.now)),
		[]byte("{\"sensor\":\"temp\",\"ts\":\"2026-01-01T00:00:00Z\",\"value\":-0.0}\n\n"),
		avroFile(f, d, 2),
	} {
		f.Add(uint8(i), body)
	}
	media := []string{"application/json", "application/x-ndjson", "application/avro", "nonsense"}
	f.Fuzz(func(t *testing.T, choice uint8, body []byte) {
		path := "/v1/readings"
		if choice&16 != 0 {
			path = "/v1/line-events"
		}
		if choice&32 != 0 {
			path += "?partial=true"
		}
		d.send(t, path, media[choice%4], []string{"", "gzip", "zstd", "br"}[choice>>2%4], body)
	})
}
