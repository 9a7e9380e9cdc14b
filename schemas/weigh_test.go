package schemas

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"

	"github.com/foodflow/foodflow/internal/plant"
)

// doubling is a type of 2^depth parts in a few bytes a level.
func doubling(depth int) string {
	name, text := "L", `{"type":"record","name":"L","fields":[{"name":"x","type":"null"}]}`
	for i := range depth {
		text = fmt.Sprintf(`{"type":"record","name":"D%d","fields":[{"name":"a","type":%s},{"name":"b","type":"%s"}]}`, i, text, name)
		name = fmt.Sprintf("D%d", i)
	}
	return text
}

// heavier is the newest reading with a field more.
func heavier(t testing.TB, typ string) string {
	t.Helper()
	text, _, err := latest(Reading)
	if err != nil {
		t.Fatal(err)
	}
	end := strings.LastIndex(text, "]")
	return text[:end] + `,{"name":"more","type":` + typ + `}]` + text[end+1:]
}

func TestHeavySchemasAreRefused(t *testing.T) {
	chain := `"int"`
	for range maxSchemaDepth + 1 {
		chain = `{"type":"array","items":` + chain + `}`
	}
	for name, tc := range map[string]struct {
		typ string
		ok  bool
	}{
		"doubling, few":           {doubling(8), true},
		"doubling":                {doubling(40), false},
		"doubling through unions": {strings.ReplaceAll(doubling(40), `"null"`, `["null","int"]`), false},
		"array of nulls":          {`{"type":"array","items":"null"}`, false},
		"array of empty records":  {`{"type":"array","items":{"type":"record","name":"E","fields":[]}}`, false},
		"array of empty fixed":    {`{"type":"array","items":{"type":"fixed","name":"E","size":0}}`, false},
		"array of named nothing":  {`[{"type":"record","name":"E","fields":[]},{"type":"array","items":"com.foodflow.v1.E"}]`, false},
		"array of records":        {`{"type":"array","items":{"type":"record","name":"E","fields":[{"name":"x","type":"int"}]}}`, true},
		"recursive":               {`{"type":"record","name":"List","fields":[{"name":"next","type":["null","List"]}]}`, true},
		"deep":                    {chain, false},
	} {
		t.Run(name, func(t *testing.T) {
			reg := &memory{}
			c, err := NewCodec(t.Context(), reg)
			if err != nil {
				t.Fatal(err)
			}
			text := heavier(t, tc.typ)
			if _, err := avro.Parse(text); err != nil {
				t.Fatalf("the library refuses it by itself: %v", err)
			}
			if err := Valid(text); (err == nil) != tc.ok {
				t.Errorf("Valid: %v, want ok %v", err, tc.ok)
			}
			began := time.Now()
			want := sampleReading().(plant.Reading)
			frame := frameOf(reg.foreignID(t, text), append(c.AppendReading(nil, &want)[frameSize:], 0))
			var got plant.Reading
			err = c.DecodeReading(frame, &got)
			if !tc.ok && !errors.Is(err, ErrUnknownSchema) || tc.ok && errors.Is(err, ErrUnknownSchema) {
				t.Errorf("got %v, want ok %v", err, tc.ok)
			}
			if took := time.Since(began); took > 30*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

// TestPublishedSchemasAreLight: the weight leaves room for what we publish.
func TestPublishedSchemasAreLight(t *testing.T) {
	for _, n := range everyName(t) {
		all, err := Versions(n)
		if err != nil {
			t.Fatal(err)
		}
		for _, text := range all {
			if err := Valid(text); err != nil {
				t.Errorf("%s: %v", n, err)
			}
		}
	}
}
