package registry

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

func filled(t testing.TB, path string) (*cache, []byte) {
	t.Helper()
	c := newCache(path)
	c.putID("a-value", `"long"`, 1)
	c.putID("b-value", `{"type":"array","items":"string","doc":"<&>"}`, 7)
	c.putSchema(9, `"double"`)
	if written, err := c.save(); !written || err != nil {
		t.Fatal(written, err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return c, b
}

func TestCacheSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "sub", "cache")
	c, _ := filled(t, path)
	again := newCache(path)
	if err := again.load(); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(again.content, c.content) || again.bytes != c.bytes {
		t.Errorf("read %+v, want %+v", again.content, c.content)
	}
	if written, err := again.save(); written || err != nil {
		t.Errorf("an unchanged cache was written (%v, %v)", written, err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("the folder holds %v (%v), want the cache only", left, err)
	}
}

// TestDamagedCacheIsRefused flips every bit in turn and cuts the file at every
// length: never is anything but the whole truth taken from it.
func TestDamagedCacheIsRefused(t *testing.T) {
	c, whole := filled(t, filepath.Join(t.TempDir(), "cache"))
	check := func(what string, at int, b []byte) {
		// A flip may leave the meaning as it was, e.g. in the case of a JSON key.
		if got, err := parseCache(b); err == nil && !reflect.DeepEqual(got, c.content) {
			t.Fatalf("%s at %d was taken: %+v", what, at, got)
		}
	}
	for i := range whole {
		for bit := range 8 {
			b := bytes.Clone(whole)
			b[i] ^= 1 << bit
			check("flip", i, b)
		}
		check("cut", i, whole[:i])
	}
	// The control: without the checksum a changed letter is not noticed.
	text := bytes.Replace(whole, []byte("double"), []byte("doubel"), 1)
	if _, err := parseCache(text); err == nil {
		t.Error("a changed schema was taken")
	}
}

// TestOtherFormatIsRefused: a file of a later program is whole, yet not read.
func TestOtherFormatIsRefused(t *testing.T) {
	_, whole := filled(t, filepath.Join(t.TempDir(), "cache"))
	later := bytes.Replace(whole, []byte(`"format":1`), []byte(`"format":2`), 1)
	if _, err := parseCache(later); bytes.Equal(later, whole) || err == nil {
		t.Error("a file of format 2 was taken")
	}
}

func TestCacheIsBounded(t *testing.T) {
	c := newCache("")
	for i := range maxCached + 10 {
		c.putSchema(i, "x")
	}
	if c.len() != maxCached {
		t.Errorf("holds %d schemas, want %d", c.len(), maxCached)
	}
}

func FuzzParseCache(f *testing.F) {
	_, whole := filled(f, filepath.Join(f.TempDir(), "cache"))
	f.Add(whole)
	f.Add([]byte(`{"format":1,"sha256":"","content":null}`))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := parseCache(b)
		if err == nil && (got.IDs == nil || got.Schemas == nil) {
			t.Fatal("half a cache was taken")
		}
	})
}
