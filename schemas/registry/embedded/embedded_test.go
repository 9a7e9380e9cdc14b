package embedded_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
	"github.com/foodflow/foodflow/schemas/registry"
	"github.com/foodflow/foodflow/schemas/registry/embedded"
)

// open serves the registry of a folder.
func open(t testing.TB, dir string) string {
	t.Helper()
	r, err := embedded.Open(dir, schemas.Compatible, schemas.Valid)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	return server.URL
}

// ours is FoodFlow's client, theirs franz-go's.
func ours(t testing.TB, url string) *registry.Client {
	t.Helper()
	cfg := registry.DefaultConfig()
	cfg.URL, cfg.Backoff, cfg.Timeout = url, time.Millisecond, time.Minute
	c, err := registry.New(cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func theirs(t testing.TB, url string) *sr.Client {
	t.Helper()
	c, err := sr.NewClient(sr.URLs(url), sr.HTTPClient(&http.Client{Timeout: time.Minute}))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	first      = `{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}`
	compatible = `{"type":"record","name":"R","fields":[{"name":"a","type":"long"},{"name":"b","type":"long","default":9007199254740993}]}`
	breaking   = `{"type":"record","name":"R","fields":[{"name":"a","type":"long"},{"name":"c","type":"string"}]}`
)

// TestCodecOverRestart: every schema of ours is taken, and a record written
// before a restart is read after it under the same id.
func TestCodecOverRestart(t *testing.T) {
	dir := t.TempDir()
	before, err := schemas.NewCodec(t.Context(), ours(t, open(t, dir)))
	if err != nil {
		t.Fatal(err)
	}
	want := plant.Reading{Tenant: plant.NewID(), Sensor: plant.NewID(), TS: 1, Value: 2, Seq: plant.NoSeq}
	frame := before.AppendReading(nil, &want)
	after, err := schemas.NewCodec(t.Context(), ours(t, open(t, dir)))
	if err != nil {
		t.Fatal(err)
	}
	var got plant.Reading
	if err := after.DecodeReading(frame, &got); err != nil || got != want {
		t.Errorf("read %+v (%v), want %+v", got, err, want)
	}
	if again := after.AppendReading(nil, &want); !bytes.Equal(again, frame) {
		t.Errorf("after the restart a reading is %x, before %x", again, frame)
	}
}

func TestCompatibilityIsHeld(t *testing.T) {
	ctx := t.Context()
	url := open(t, t.TempDir())
	c := ours(t, url)
	id1, err := c.Register(ctx, "r-value", first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Register(ctx, "r-value", breaking); !errors.Is(err, registry.ErrIncompatible) {
		t.Errorf("a breaking version: %v, want ErrIncompatible", err)
	}
	id2, err := c.Register(ctx, "r-value", compatible)
	if err != nil || id2 == id1 {
		t.Fatal(id2, err)
	}
	if id, err := ours(t, url).Register(ctx, "r-value", strings.ReplaceAll(first, " ", "\n ")); err != nil || id != id1 {
		t.Errorf("the same schema in another spelling has id %d (%v), want %d", id, err, id1)
	}
	other := theirs(t, url)
	if text, err := other.SchemaTextByID(ctx, id2); err != nil || !strings.Contains(text, "9007199254740993") {
		t.Errorf("schema %d is %s (%v)", id2, text, err)
	}
	if r := other.SetCompatibility(ctx, sr.SetCompatibility{Level: sr.CompatNone}, "r-value"); r[0].Err != nil {
		t.Fatal(r[0].Err)
	}
	if _, err := c.Register(ctx, "r-value", breaking); err != nil {
		t.Errorf("control: at level NONE the breaking version is refused too: %v", err)
	}
}

// TestOtherClient goes through what franz-go's client asks of a registry.
func TestOtherClient(t *testing.T) {
	ctx := t.Context()
	url := open(t, t.TempDir())
	c := theirs(t, url)
	made, err := c.CreateSchema(ctx, "a b/ü-value", sr.Schema{Schema: first})
	if err != nil {
		t.Fatal(err)
	}
	if made.ID != 1 || made.Version != 1 || made.Subject != "a b/ü-value" {
		t.Errorf("created %+v", made)
	}
	if _, err := c.CreateSchema(ctx, "a b/ü-value", sr.Schema{Schema: compatible}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateSchema(ctx, "other-value", sr.Schema{Schema: first}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Subjects(ctx); err != nil || !reflect.DeepEqual(got, []string{"a b/ü-value", "other-value"}) {
		t.Errorf("subjects %v (%v)", got, err)
	}
	if got, err := c.SubjectVersions(ctx, "a b/ü-value"); err != nil || !reflect.DeepEqual(got, []int{1, 2}) {
		t.Errorf("versions %v (%v)", got, err)
	}
	if got, err := c.SchemaByVersion(ctx, "a b/ü-value", -1); err != nil || got.Version != 2 || got.ID != 2 {
		t.Errorf("latest %+v (%v)", got, err)
	}
	if got, err := c.SchemaUsagesByID(ctx, 1); err != nil || len(got) != 2 {
		t.Errorf("uses of 1: %+v (%v)", got, err)
	}
	if got, err := c.SubjectsByID(ctx, 1); err != nil || len(got) != 2 {
		t.Errorf("subjects of 1: %v (%v)", got, err)
	}
	if got, err := c.CheckCompatibility(ctx, "other-value", -1, sr.Schema{Schema: breaking}); err != nil || got.Is {
		t.Errorf("a breaking version is called compatible: %+v (%v)", got, err)
	}
	if got, err := c.CheckCompatibility(ctx, "other-value", -1, sr.Schema{Schema: compatible}); err != nil || !got.Is {
		t.Errorf("a compatible version is not: %+v (%v)", got, err)
	}
	if got, err := c.SupportedTypes(ctx); err != nil || !reflect.DeepEqual(got, []sr.SchemaType{sr.TypeAvro}) {
		t.Errorf("types %v (%v)", got, err)
	}
	if got := c.Compatibility(ctx, sr.GlobalSubject); got[0].Err != nil || got[0].Level != sr.CompatBackwardTransitive {
		t.Errorf("global level %+v", got[0])
	}
}

// TestErrorsInTheirForm: clients go by status and error code.
func TestErrorsInTheirForm(t *testing.T) {
	ctx := t.Context()
	c := theirs(t, open(t, t.TempDir()))
	if _, err := c.CreateSchema(ctx, "s", sr.Schema{Schema: first}); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		ask          func() error
		status, code int
	}{
		"no subject":     {func() error { _, err := c.SubjectVersions(ctx, "x"); return err }, 404, 40401},
		"no version":     {func() error { _, err := c.SchemaByVersion(ctx, "s", 9); return err }, 404, 40402},
		"no schema":      {func() error { _, err := c.SchemaByID(ctx, 99); return err }, 404, 40403},
		"not registered": {func() error { _, err := c.LookupSchema(ctx, "s", sr.Schema{Schema: breaking}); return err }, 404, 40403},
		"no Avro":        {func() error { _, err := c.CreateSchema(ctx, "s", sr.Schema{Schema: `{"type":"x"}`}); return err }, 422, 42201},
		"no JSON":        {func() error { _, err := c.CreateSchema(ctx, "s", sr.Schema{Schema: `{`}); return err }, 422, 42201},
		"two of them":    {func() error { _, err := c.CreateSchema(ctx, "s", sr.Schema{Schema: `"int" "int"`}); return err }, 422, 42201},
		"protobuf": {func() error {
			_, err := c.CreateSchema(ctx, "s", sr.Schema{Schema: `x`, Type: sr.TypeProtobuf})
			return err
		}, 422, 42201},
		"incompatible": {func() error { _, err := c.CreateSchema(ctx, "s", sr.Schema{Schema: breaking}); return err }, 409, 409},
		"level": {func() error {
			return c.Do(ctx, http.MethodPut, "/config/s", map[string]string{"compatibility": "SOME"}, nil)
		}, 422, 42203},
		"no route": {func() error { return c.Do(ctx, http.MethodGet, "/nowhere", nil, nil) }, 404, 404},
	} {
		var re *sr.ResponseError
		if err := tc.ask(); !errors.As(err, &re) || re.StatusCode != tc.status || re.ErrorCode != tc.code {
			t.Errorf("%s: %v %+v, want %d and code %d", name, err, re, tc.status, tc.code)
		}
	}
}

// TestUnwritableDisk: what can't be kept is not answered for, and leaves nothing
// behind.
func TestUnwritableDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "registry")
	url := open(t, dir)
	c := theirs(t, url)
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := c.CreateSchema(t.Context(), "s", sr.Schema{Schema: first}); err == nil {
		t.Fatal("a schema that was not kept got an id")
	}
	if got, err := c.Subjects(t.Context()); err != nil || len(got) != 0 {
		t.Errorf("subjects %v (%v), want none", got, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := c.CreateSchema(t.Context(), "s", sr.Schema{Schema: first}); err != nil || s.ID != 1 {
		t.Errorf("with the disk back: %+v (%v)", s, err)
	}
}

func FuzzRequests(f *testing.F) {
	for _, s := range [][3]string{
		{"POST", "/subjects/s/versions", `{"schema":"\"int\""}`},
		{"POST", "/subjects/s", `{"schema":"\"int\""}`},
		{"GET", "/subjects/s/versions/latest/schema", ""},
		{"GET", "/schemas/ids/1/versions", ""},
		{"PUT", "/config/s", `{"compatibility":"FULL"}`},
		{"POST", "/compatibility/subjects/s/versions/latest", `{"schema":"\"long\""}`},
		{"DELETE", "/subjects/%2e%2e", ""},
	} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, method, path, body string) {
		r, err := embedded.Open(t.TempDir(), schemas.Compatible, schemas.Valid)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Register("s", `"int"`); err != nil {
			t.Fatal(err)
		}
		req, err := http.NewRequestWithContext(t.Context(), method, "http://x/"+strings.TrimPrefix(path, "/"), strings.NewReader(body))
		if err != nil {
			t.Skip("no request")
		}
		rec := httptest.NewRecorder()
		r.ServeHTTP(rec, req)
		if rec.Code >= http.StatusInternalServerError {
			b, _ := io.ReadAll(rec.Body)
			t.Fatalf("%s %s: %d %s", method, path, rec.Code, b)
		}
	})
}

// BenchmarkUnknownIDs measures what a record under a made-up id costs its
// reader: a question to the registry each, since no two are the same.
func BenchmarkUnknownIDs(b *testing.B) {
	c, err := schemas.NewCodec(b.Context(), ours(b, open(b, b.TempDir())))
	if err != nil {
		b.Fatal(err)
	}
	frame := make([]byte, 80)
	id := 1000
	for b.Loop() {
		id++
		frame[1], frame[2], frame[3], frame[4] = byte(id>>24), byte(id>>16), byte(id>>8), byte(id)
		var r plant.Reading
		if err := c.DecodeReading(frame, &r); !errors.Is(err, schemas.ErrUnknownSchema) {
			b.Fatal(err)
		}
	}
}
