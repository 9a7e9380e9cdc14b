package contract

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// document is what the cases change by replacing a piece of its text.
const document = `{"paths":{
	"/things":{
		"get":{"x-roles":["admin","viewer"],"parameters":[{"in":"query","name":"sort","schema":{"type":"string","enum":["id","key"]}},{"in":"query","name":"limit","schema":{"type":"integer","minimum":1,"maximum":1000}}],
			"responses":{"200":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/List"}}}},"404":{}}},
		"post":{"requestBody":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/New"}},"application/xml":{}}},"responses":{"201":{},"202":{}}}},
	"/other":{"get":{"responses":{"200":{}}}}},
"components":{"schemas":{
	"List":{"type":"object","required":["items"],"properties":{"items":{"type":"array","items":{"$ref":"#/components/schemas/Thing"}}}},
	"Thing":{"type":"object","required":["id","name"],"properties":{"id":{"type":"string","format":"uuid"},"name":{"type":"string"},"size":{"type":["number","null"]},"parent":{"$ref":"#/components/schemas/Thing"}}},
	"New":{"type":"object","additionalProperties":false,"required":["name"],"properties":{"name":{"type":"string","maxLength":100},"size":{"type":"number"},"kind":{"type":"string","enum":["a","b"]},"tags":{"type":"array","items":{"type":"string"}}}}}}}`

func read(t *testing.T, text string) (m map[string]any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestBreaks changes the document in one place: what breaks is named, with its
// place, and what doesn't is not.
func TestBreaks(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{`"/other":`, `"/another":`, "GET /other: is gone"},
		{`"post":{"requestBody"`, `"put":{"requestBody"`, "POST /things: is gone"},
		{`["admin","viewer"]`, `["admin"]`, "GET /things: role viewer may not call it any more"},
		{`"/other":{"get":{`, `"/other":{"get":{"x-roles":["admin"],`, "GET /other: needs a role now"},
		{`"name":"sort"`, `"name":"order"`, "GET /things: parameter query sort is gone"},
		{`"enum":["id","key"]`, `"enum":["id"]`, "GET /things: parameter query sort does not take key any more"},
		{`"maximum":1000`, `"maximum":500`, "GET /things: parameter query limit has a narrower maximum"},
		{`"minimum":1,`, `"minimum":2,`, "GET /things: parameter query limit has a narrower minimum"},
		{`"parameters":[{`, `"parameters":[{"in":"query","name":"x","required":true},{`, "GET /things: parameter query x is newly required"},
		{`"name":"limit"`, `"name":"limit","required":true`, "GET /things: parameter query limit is newly required"},
		{`"schema":{"type":"integer","minimum"`, `"schema":{"type":"boolean","minimum"`, "GET /things: parameter query limit takes [boolean], no longer [integer]"},
		{`"responses":{"201":{},"202":{}}`, `"responses":{"201":{}}`, "POST /things: answer 202 is gone"},
		{`,"application/xml":{}`, ``, "POST /things: a body of application/xml is not taken any more"},
		{`"requestBody":{`, `"requestBody":{"required":true,`, "POST /things: the body is newly required"},
		{`"required":["name"],"properties":{"name":{"type":"string","maxLength"`, `"required":["name","size"],"properties":{"name":{"type":"string","maxLength"`, "POST /things: body.size is newly required"},
		{`"size":{"type":"number"}`, `"size":{"type":"integer"}`, "POST /things: body.size takes [integer], no longer [number]"},
		{`"size":{"type":"number"},`, ``, "POST /things: body.size is not taken any more"},
		{`"enum":["a","b"]`, `"enum":["a","c"]`, "POST /things: body.kind does not take b any more"},
		{`"maxLength":100`, `"maxLength":99`, "POST /things: body.name has a narrower maxLength"},
		{`"maxLength":100`, `"maxLength":100,"pattern":"^a"`, "POST /things: body.name must have the pattern ^a now"},
		{`"tags":{"type":"array","items":{"type":"string"}}`, `"tags":{"type":"array","items":{"type":"string","enum":["x"]}}`, "POST /things: body.tags[] takes only [x] now"},
		{`"name":{"type":"string"},"size":{"type":["number","null"]}`, `"size":{"type":["number","null"]}`, "GET /things: answer 200.items[].name is gone"},
		{`"required":["id","name"]`, `"required":["id"]`, "GET /things: answer 200.items[].name may be missing now"},
		{`"size":{"type":["number","null"]}`, `"size":{"type":["string","null"]}`, "GET /things: answer 200.items[].size has type [string null], not [number null] any more"},
		{`"size":{"type":["number","null"]}`, `"size":{"type":"number"}`, ""}, // promises more
		{`"format":"uuid"`, `"format":"uri"`, "GET /things: answer 200.items[].id has not the format uuid any more"},
		{`"items":{"type":"array"`, `"items":{"type":"object"`, "GET /things: answer 200.items has type [object], not [array] any more"},
		// What clients don't mind.
		{`"enum":["a","b"]`, `"enum":["a","b","c"]`, ""},
		{`"maximum":1000`, `"maximum":2000`, ""},
		{`"maxLength":100`, `"maxLength":200`, ""},
		{`"404":{}`, `"409":{}`, ""},
		{`"required":["name"],"properties":{"name":{"type":"string","maxLength"`, `"required":[],"properties":{"name":{"type":"string","maxLength"`, ""},
		{`"parameters":[{`, `"parameters":[{"in":"query","name":"x"},{`, ""},
		{`["admin","viewer"]`, `["admin","viewer","operator"]`, ""},
		{`"size":{"type":"number"}`, `"size":{"type":["number","string"]},"more":{"type":"string"}`, ""},
		{`"name":{"type":"string"},"size"`, `"name":{"type":"string"},"more":{"type":"string"},"size"`, ""},
		{`"/other":`, `"/new":{"get":{}},"/other":`, ""},
	} {
		if !strings.Contains(document, c.from) {
			t.Fatalf("the document has no %s", c.from)
		}
		got := Breaks(read(t, document), read(t, strings.Replace(document, c.from, c.to, 1)))
		if c.want == "" && len(got) > 0 || c.want != "" && !slices.Contains(got, c.want) {
			t.Errorf("%s to %s: %q, want %q", c.from, c.to, got, c.want)
		}
	}
	if got := Breaks(read(t, document), read(t, document)); len(got) != 0 {
		t.Errorf("nothing changed, and %q", got)
	}
}
