package schemas

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	hamba "github.com/hamba/avro/v2"
	"github.com/twmb/avro"

	"github.com/foodflow/foodflow/internal/plant"
)

// publish enters new versions where they are missing; what is there it leaves.
var publish = flag.Bool("publish", false, "write the fingerprint and the golden bytes of schema versions that have none yet")

const fingerprints = "testdata/published.sha256"

// TestPublishedVersionsNeverChange holds every schema file to the fingerprint
// under which it was released.
func TestPublishedVersionsNeverChange(t *testing.T) {
	b, err := os.ReadFile(fingerprints)
	if err != nil && !(*publish && errors.Is(err, fs.ErrNotExist)) {
		t.Fatal(err)
	}
	known := map[string]string{}
	for line := range strings.Lines(string(b)) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		if !ok {
			t.Fatalf("%s: %q is no line of it", fingerprints, line)
		}
		known[name] = sum
	}
	err = fs.WalkDir(published, "avsc", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := published.ReadFile(path)
		if err != nil {
			return err
		}
		sum := fmt.Sprintf("%x", sha256.Sum256(text))
		name := strings.TrimPrefix(path, "avsc/")
		switch was, ok := known[name]; {
		case !ok && *publish:
			b = fmt.Appendf(b, "%s  %s\n", sum, name)
		case !ok:
			t.Errorf("%s has no fingerprint: run go test ./schemas -publish before it is merged", name)
		case was != sum:
			t.Errorf("%s was changed after its release: undo it and add the next version", name)
		}
		delete(known, name)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for name := range known {
		t.Errorf("%s was released and is gone", name)
	}
	if *publish {
		if err := os.WriteFile(fingerprints, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// checkHistory is BACKWARD_TRANSITIVE: each version reads what every older one
// wrote. Both implementations must think so.
func checkHistory(versions []string) error {
	for i := range versions {
		for j := range i + 1 {
			if err := Compatible(versions[i], versions[j]); err != nil {
				return fmt.Errorf("version %d can't read version %d: %w", i+1, j+1, err)
			}
			// A cache each: hamba's default one is shared and knows types by name.
			r, err := hamba.ParseWithCache(versions[i], "", &hamba.SchemaCache{})
			if err != nil {
				return err
			}
			w, err := hamba.ParseWithCache(versions[j], "", &hamba.SchemaCache{})
			if err != nil {
				return err
			}
			if err := hamba.NewSchemaCompatibility().Compatible(r, w); err != nil {
				return fmt.Errorf("version %d can't read version %d, says the second implementation: %w", i+1, j+1, err)
			}
		}
	}
	return nil
}

func everyName(t testing.TB) []Name {
	t.Helper()
	entries, err := fs.ReadDir(published, "avsc")
	if err != nil {
		t.Fatal(err)
	}
	var out []Name
	for _, e := range entries {
		out = append(out, Name(e.Name()))
	}
	return out
}

func TestPublishedVersionsAreCompatible(t *testing.T) {
	for _, n := range everyName(t) {
		all, err := Versions(n)
		if err != nil {
			t.Fatal(err)
		}
		if err := checkHistory(all); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
}

// TestIncompatibleVersionsAreRefused is the control of the above: next versions
// of the newest reading that would break readers of older records, and some that
// would not.
func TestIncompatibleVersionsAreRefused(t *testing.T) {
	all, err := Versions(Reading)
	if err != nil {
		t.Fatal(err)
	}
	v := all[len(all)-1]
	edit := func(from, to string) string {
		if !strings.Contains(v, from) {
			t.Fatalf("the reading has no %q to edit", from)
		}
		return strings.Replace(v, from, to, 1)
	}
	for name, tc := range map[string]struct {
		next string
		ok   bool
	}{
		"a field without default":  {edit(`"fields": [`, `"fields": [{"name": "batch", "type": "string"},`), false},
		"a field with default":     {edit(`"fields": [`, `"fields": [{"name": "batch", "type": "string", "default": ""},`), true},
		"a number as text":         {edit(`"value", "type": "double"`, `"value", "type": "string"`), false},
		"a narrower number":        {edit(`"value", "type": "double"`, `"value", "type": "float"`), false},
		"another name":             {edit(`"name": "Reading"`, `"name": "Measurement"`), false},
		"another size":             {edit(`"size": 16`, `"size": 20`), false},
		"null no more":             {edit(`["null", "long"], "default": null`, `"long", "default": 0`), false},
		"a symbol more":            {edit(`"uncertain", "bad"]`, `"uncertain", "bad", "simulated"]`), true},
		"a symbol less, defaulted": {edit(`"uncertain", "bad"]`, `"uncertain"]`), true},
		"a symbol less":            {strings.Replace(edit(`"uncertain", "bad"]`, `"uncertain"]`), `, "default": "uncertain"`, "", 1), false},
		"another doc":              {edit(`"doc": "`, `"doc": "well: `), true},
	} {
		t.Run(name, func(t *testing.T) {
			if err := checkHistory(append(slices.Clone(all), tc.next)); (err == nil) != tc.ok {
				t.Errorf("got %v, want ok %v", err, tc.ok)
			}
		})
	}
	broken := edit(`"value", "type": "double"`, `"value", "type": "string"`)
	if err := checkHistory([]string{v, broken, v}); err == nil {
		t.Error("a break between versions that are not neighbours was not seen")
	}
}

// TestEveryFieldIsDocumented: a schema is read by people who never see the code.
func TestEveryFieldIsDocumented(t *testing.T) {
	type record struct {
		Namespace, Doc string
		Fields         []struct{ Name, Doc string }
	}
	for _, n := range everyName(t) {
		all, err := Versions(n)
		if err != nil {
			t.Fatal(err)
		}
		var r record
		if err := json.Unmarshal([]byte(all[len(all)-1]), &r); err != nil {
			t.Fatal(err)
		}
		if r.Namespace != "com.foodflow.v1" || r.Doc == "" {
			t.Errorf("%s: namespace %q, doc %q", n, r.Namespace, r.Doc)
		}
		for _, f := range r.Fields {
			if f.Doc == "" {
				t.Errorf("%s: field %s has no doc", n, f.Name)
			}
		}
	}
}

// TestNounsAndSchemasAgree: the hand-written codec writes a noun's number as the
// symbol's index, and the structs name the newest schema's fields.
func TestNounsAndSchemasAgree(t *testing.T) {
	for name, want := range map[string]struct {
		kind  Name
		names []string
	}{
		"quality": {Reading, plant.Qualities()},
		"type":    {LineEvent, plant.EventTypes()},
		"state":   {LineEvent, plant.States()},
	} {
		for _, f := range second(t, want.kind).(*hamba.RecordSchema).Fields() {
			if f.Name() == name {
				if got := f.Type().(*hamba.EnumSchema).Symbols(); !slices.Equal(got, want.names) {
					t.Errorf("%s: symbols %v, nouns %v", name, got, want.names)
				}
			}
		}
	}
	if int(plant.QualityBad)+1 != len(plant.Qualities()) || int(plant.EventCount)+1 != len(plant.EventTypes()) || int(plant.StateMaintenance)+1 != len(plant.States()) {
		t.Error("a noun was added after the last one that the fast decoder knows")
	}
	for _, k := range allKinds() {
		typ := reflect.TypeOf(k.wire()).Elem()
		var tags, fields []string
		for i := range typ.NumField() {
			tags = append(tags, typ.Field(i).Tag.Get("avro"))
		}
		for _, f := range second(t, k.name).(*hamba.RecordSchema).Fields() {
			fields = append(fields, f.Name())
		}
		slices.Sort(tags)
		slices.Sort(fields)
		if !slices.Equal(tags, fields) {
			t.Errorf("%s: struct has %v, schema %v", k.name, tags, fields)
		}
	}
}

// golden is where a version's golden bytes lie: a body, and what it says.
func golden(n Name, version int, ext string) string {
	return filepath.Join("testdata", "golden", fmt.Sprintf("%s_v%d.%s", n, version, ext))
}

// TestGoldenBytes: what was written under any published version is read today,
// by both libraries and by the codec, to what it said then.
func TestGoldenBytes(t *testing.T) {
	for _, k := range allKinds() {
		all, err := Versions(k.name)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range all {
			t.Run(fmt.Sprintf("%s_v%d", k.name, i+1), func(t *testing.T) {
				goldenVersion(t, k, text, i+1, i+1 == len(all))
			})
		}
	}
}

func goldenVersion(t *testing.T, k ops, text string, version int, newest bool) {
	reg := &memory{}
	c, err := NewCodec(t.Context(), reg)
	if err != nil {
		t.Fatal(err)
	}
	frame, err := k.append(c, nil, k.sample())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(golden(k.name, version, "bin")); *publish && newest && errors.Is(err, fs.ErrNotExist) {
		write(t, golden(k.name, version, "bin"), frame[frameSize:])
		write(t, golden(k.name, version, "json"), described(t, text, frame[frameSize:]))
	}
	body, err := os.ReadFile(golden(k.name, version, "bin"))
	if err != nil {
		t.Fatal(err)
	}
	said, err := os.ReadFile(golden(k.name, version, "json"))
	if err != nil {
		t.Fatal(err)
	}
	if got := described(t, text, body); !bytes.Equal(got, said) {
		t.Errorf("the library reads\n%s\nwant\n%s", got, said)
	}
	s := hamba.MustParse(text)
	var generic any
	if err := hamba.Unmarshal(s, body, &generic); err != nil {
		t.Errorf("the second implementation: %v", err)
	}
	w := k.wire()
	if err := hamba.Unmarshal(s, body, w); err != nil {
		t.Errorf("the second implementation: %v", err)
	}
	got, err := k.decode(c, frameOf(reg.foreignID(t, text), body))
	if err != nil || !reflect.DeepEqual(got, k.sample()) {
		t.Errorf("read as an older program's: %+v (%v), want %+v", got, err, k.sample())
	}
	if !newest {
		return
	}
	if !bytes.Equal(frame[frameSize:], body) {
		t.Errorf("written today: %x, golden %x", frame[frameSize:], body)
	}
	if again, err := hamba.Marshal(s, w); err != nil || (!bytes.Equal(again, body) && !hasCollection(text)) {
		t.Errorf("written by the second implementation: %x (%v), golden %x", again, err, body)
	}
}

// hasCollection says whether the specification leaves a record's bytes open: an
// array or map may be cut into blocks with or without sizes.
func hasCollection(schema string) bool {
	return strings.Contains(schema, `"array"`) || strings.Contains(schema, `"map"`)
}

// described says in the specification's JSON encoding what a body holds.
func described(t *testing.T, schema string, body []byte) []byte {
	t.Helper()
	s := avro.MustParse(schema)
	var v any
	if _, err := s.Decode(body, &v); err != nil {
		t.Fatal(err)
	}
	b, err := s.EncodeJSON(v, avro.TaggedUnions())
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		t.Fatal(err)
	}
	return append(out.Bytes(), '\n')
}

func write(t *testing.T, path string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestGoldenContainers: files of producers written under any published version
// of the ingest schemas are read today to what they said.
func TestGoldenContainers(t *testing.T) {
	quality, seq, good := "bad", int64(9), 5.5
	reason, held := "jam", "HELD"
	for _, n := range []Name{"ingest_reading", "ingest_line_event"} {
		all, err := Versions(n)
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range all {
			path := golden(n, i+1, "avro")
			if _, err := os.Stat(path); *publish && i+1 == len(all) && errors.Is(err, fs.ErrNotExist) {
				records := []any{fileReading{"oven-1/temp", 1_764_000_000_123, 181.5, &quality, &seq}, fileReading{Sensor: "x", TS: 1, Value: -1}}
				if n == "ingest_line_event" {
					records = []any{
						map[string]any{"line": "bottling-1", "ts": int64(1_764_000_000_123), "type": "state", "state": &held, "reason": &reason},
						map[string]any{"line": "bottling-1", "ts": int64(1), "type": "count", "good": &good},
					}
				}
				write(t, path, container(t, "deflate", text, records...))
			}
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if n == "ingest_reading" {
				want := []IngestReading{{"oven-1/temp", 1_764_000_000_123, 181.5, "bad", 9, true}, {Sensor: "x", TS: 1, Value: -1}}
				if got, err := readings(file, DefaultContainerLimits()); err != nil || !reflect.DeepEqual(got, want) {
					t.Errorf("%s: %+v (%v), want %+v", path, got, err, want)
				}
				continue
			}
			c, err := OpenLineEvents(bytes.NewReader(file), DefaultContainerLimits())
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []IngestLineEvent{
				{Line: "bottling-1", TS: 1_764_000_000_123, Type: "state", State: "HELD", Reason: "jam"}, {Line: "bottling-1", TS: 1, Type: "count", Good: 5.5, HasGood: true},
			} {
				var got IngestLineEvent
				if err := c.Next(&got); err != nil || got != want {
					t.Errorf("%s: %+v (%v), want %+v", path, got, err, want)
				}
			}
			c.Close()
		}
	}
}
