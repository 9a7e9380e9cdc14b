package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/demo"
)

func TestRepeated(t *testing.T) {
	many := func(last string) string {
		var b strings.Builder
		for i := range 3 * few {
			fmt.Fprintf(&b, `"n%d":%d,`, i, i)
		}
		return "{" + b.String() + last + "}"
	}
	for text, want := range map[string]string{
		`{"a":1,"b":{"a":2},"c":[{"a":3},{"a":4}]}`: "",
		`{"a":1,"a":1}`:         "a",
		`{"a":1, "\u0061" : 2}`: "a",
		`{"a":{"b":[1,{"c":"}"},{"c":{},"d":"\"","c":[]}]}}`: "a.b[2].c",
		`[[{"x":null,"x":true}]]`:                            "[0][0].x",
		" \t\r\n{ } ":                                        "",
		`{"":1,"":2}`:                                        "",
		`{"a":"a","b":"a"}`:                                  "",
		`{"a":1,"A":2}`:                                      "",
		`7`:                                                  "",
		"{\"\xff\":1,\"\xfe\":2}":                            "\uFFFD", // the decoder takes both for U+FFFD
		many(`"n":1`):                                        "",
		many(`"n3":1`):                                       "n3",
		many(`"n40":1`):                                      "n40",
		many(`"m":{"n3":1}`):                                 "",
		many(`"m":[{"n":1,"n":2}]`):                          "m[0].n",
	} {
		where, found := repeated([]byte(text))
		if where != want || found != (want != "" || text == `{"":1,"":2}`) {
			t.Errorf("%s: %q, %v, want %q", text, where, found, want)
		}
	}
}

// TestSaidTwice: a member that a body has twice is refused by name, at each depth and
// in each kind of request, and so is one that isn't a field. What is said once is the
// control.
func TestSaidTwice(t *testing.T) {
	w := newWorld(t)
	token := w.admin()
	batch := fmt.Sprintf(`{"key":"B-1","line_id":%q,"product_id":%q,"unit":"u","planned_quantity":1,"lots_in":[{"lot":"L-1"%%s}]%%s}`, demo.ID("line", demo.Bottling), demo.ID("product", "water-500"))
	batches := opsPath + "batches"
	w.call(token, "POST", batches, fmt.Sprintf(batch, "", "")).want(t, 201)
	for _, c := range []struct{ method, path, body, location, rule string }{
		{"POST", batches, fmt.Sprintf(batch, "", `,"note":"a","note":"b"`), "note", "duplicate"},
		{"POST", batches, fmt.Sprintf(batch, `,"lot":"L-2"`, ""), "lots_in[0].lot", "duplicate"},
		{"POST", batches, fmt.Sprintf(batch, "", `,"colour":1`), "colour", "unknown"},
		{"POST", batches, fmt.Sprintf(batch, `,"colour":1`, ""), "lots_in[0].colour", "unknown"},
		{"PATCH", batches + "/B-1", `{"note":"a","no\u0074e":"b"}`, "note", "duplicate"},
		{"PATCH", batches + "/B-1", `{"lots_in":[{"lot":"L-1","quantity":1,"quantity":2}]}`, "lots_in[0].quantity", "duplicate"},
		{"PATCH", batches + "/B-1", `{"colour":1}`, "colour", "unknown"},
		{"PATCH", batches + "/B-1", `{"lots_in":[{"lot":"L-1","colour":1}]}`, "lots_in[0].colour", "unknown"},
		{"POST", "/api/v1/auth/login", fmt.Sprintf(`{"email":"x@y.example","email":%q,"password":%q}`, demo.AdminEmail, w.seed.Password), "email", "duplicate"},
		{"POST", opsPath + "sensors/filler-temperature/readings", `{"value":1,"value":2}`, "value", "duplicate"},
	} {
		a := w.call(token, c.method, c.path, c.body, "If-Match", "*").want(t, 422)
		it := a.json(t)["errors"].([]any)[0].(map[string]any)
		if it["location"] != c.location || it["rule"] != c.rule {
			t.Errorf("%s %s with %s: %s", c.method, c.path, c.body, a.body)
		}
	}
	w.call(token, "PATCH", batches+"/B-1", `{"note":"a","lots_in":[{"lot":"L-1"},{"lot":"L-1"}]}`, "If-Match", "*").want(t, 200)
	if len(w.rec.readings) > 0 {
		t.Errorf("recorded %v", w.rec.readings)
	}
}

// FuzzRepeated: the walk ends on whatever is JSON, and finds something exactly where
// an object says less than its text does.
func FuzzRepeated(f *testing.F) {
	for _, text := range []string{`{"a":1,"a":2}`, `[{"a":[]},{"a":{"b":"\\\"","b":0}}]`, ` "x" `, `-1e5`, `{"\u00e9":1,"é":2}`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var v any
		if json.Unmarshal(text, &v) != nil {
			return
		}
		_, found := repeated(text)
		d := json.NewDecoder(bytes.NewReader(text))
		if told := within(t, d); found != (told > held(v)) {
			t.Fatalf("%q: found %v, %d members of which %d are left", text, found, told, held(v))
		}
	})
}

// within counts the members of one value.
func within(t *testing.T, d *json.Decoder) (n int) {
	t.Helper()
	token, err := d.Token()
	if err != nil {
		t.Fatal(err)
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return 0
	}
	for d.More() {
		if delim == '{' {
			if _, err := d.Token(); err != nil {
				t.Fatal(err)
			}
			n++
		}
		n += within(t, d)
	}
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	return n
}

// held counts the members that a decoded value has.
func held(v any) (n int) {
	switch x := v.(type) {
	case map[string]any:
		n = len(x)
		for _, part := range x {
			n += held(part)
		}
	case []any:
		for _, part := range x {
			n += held(part)
		}
	}
	return n
}
