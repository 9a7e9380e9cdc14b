package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/foodflow/foodflow/internal/fault"
)

// What JSON can say and no store can keep. huma passes an error on as its text
// only, so the text tells where.
const (
	zeroText    = "must not hold the character U+0000"
	largeNumber = "is too large for a double"
	tooMany     = "holds more than 50000 entries in its lists"
	at          = " at "
)

// maxEntries bounds a body's lists together: the schema is held against each
// entry, and a megabyte of {} would be a million errors. No thing has as many.
const maxEntries = 50_000

// unmarshal is json.Unmarshal that refuses, by name, what could not be kept, and
// what is said twice.
func unmarshal(text []byte, into any) error {
	err := json.Unmarshal(text, into)
	if _, any := into.(*any); !any { // huma asks twice: for the schema, then for the type
		return err
	}
	if err == nil && entries(*into.(*any)) > maxEntries {
		return errors.New(tooMany + at + "body")
	}
	if err == nil {
		if where, found := repeated(text); found {
			return errors.New(twice + at + where)
		}
	}
	large := new(json.UnmarshalTypeError)
	if !errors.As(err, &large) && (err != nil || !bytes.Contains(text, []byte(`\u0000`))) {
		return err
	}
	var whole any
	if decodeJSON(text, &whole) == nil {
		if it, found := unkeepable(whole, ""); found {
			return errors.New(it.Message + at + it.Location)
		}
	}
	return err
}

// keptItem undoes the text that unmarshal gave.
func keptItem(text string) (fault.Item, bool) {
	if where, ok := strings.CutPrefix(text, zeroText+at); ok {
		return fault.Item{Location: where, Rule: "text", Message: zeroText}, true
	}
	if where, ok := strings.CutPrefix(text, tooMany+at); ok {
		return fault.Item{Location: where, Rule: "max_items", Message: tooMany}, true
	}
	if where, ok := strings.CutPrefix(text, twice+at); ok {
		return fault.Item{Location: where, Rule: "duplicate", Message: twice}, true
	}
	where, ok := strings.CutPrefix(text, largeNumber+at)
	return fault.Item{Location: where, Rule: "not_finite", Message: largeNumber}, ok
}

// entries counts those of all lists.
func entries(v any) (n int) {
	switch x := v.(type) {
	case map[string]any:
		for _, part := range x {
			n += entries(part)
		}
	case []any:
		n = len(x)
		for _, part := range x {
			n += entries(part)
		}
	}
	return n
}

// unkeepable finds the first value that can't be kept.
func unkeepable(v any, where string) (fault.Item, bool) {
	switch x := v.(type) {
	case string:
		return fault.Item{Location: where, Rule: "text", Message: zeroText}, strings.Contains(x, "\x00")
	case json.Number:
		_, err := x.Float64()
		return fault.Item{Location: where, Rule: "not_finite", Message: largeNumber}, err != nil
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(x)) {
			if it, found := unkeepable(x[name], strings.TrimPrefix(where+"."+name, ".")); found {
				return it, true
			}
		}
	case []any:
		for i := range x {
			if it, found := unkeepable(x[i], fmt.Sprintf("%s[%d]", where, i)); found {
				return it, true
			}
		}
	}
	return fault.Item{}, false
}
