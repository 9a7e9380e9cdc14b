package masterdata

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

// checked is one kind of thing: what is right, and what it breaks as it stands.
type checked struct {
	fields any // pointer to what a user says
	check  func() error
}

// kinds gives a thing of every kind that is right, with an entry in every list.
func kinds() map[string]checked {
	id := plant.NewID()
	shift := directory.Shift{Key: "s", Start: "06:00", Minutes: 60, Breaks: []directory.Break{{After: 5, Minutes: 5}}}
	line := &Line{LineFields: LineFields{Key: "k", Name: "n", TimeZone: "UTC", Unit: "u", IdealRates: []IdealRate{{Product: "p", PerMinute: 1}}}}
	sensor := &Sensor{SensorFields: SensorFields{Key: "k", Name: "n", Unit: "u", Kind: "k"}}
	product := &Product{ProductFields: ProductFields{Key: "k", Name: "n", Unit: "u", Allergens: []string{"sesame"}}}
	reason := &StopReason{StopReasonFields: StopReasonFields{Key: "k", Name: "n", Class: plant.TimeClasses()[0]}}
	lots := []Lot{{Lot: "l", Material: "m", Quantity: 1, Unit: "u"}}
	batch := &Batch{BatchFields: BatchFields{Key: "k", LineID: id, ProductID: id, Unit: "u", PlannedQuantity: 1, LotsIn: lots, LotsOut: []Lot{lots[0]}, Note: "two\nlines"}}
	calendar := &Calendar{CalendarFields: CalendarFields{
		Key: "k", Name: "n", TimeZone: "UTC", CycleDays: 7, Anchor: "2026-01-05", Shifts: []directory.Shift{shift},
		Exceptions: []directory.CalendarException{{Date: "2026-12-25", Reason: "r", Shifts: []directory.Shift{{Key: "s", Start: "06:00", Minutes: 60, Breaks: []directory.Break{{After: 5, Minutes: 5}}}}}},
	}}
	key := &APIKey{APIKeyFields: APIKeyFields{Name: "n", Scopes: []string{directory.ScopeRead}}}
	user := &User{UserFields: UserFields{Email: "a@b.example", Name: "n", Role: RoleViewer}}
	return map[string]checked{
		"line":        {&line.LineFields, func() error { return checkLine(line).broken() }},
		"sensor":      {&sensor.SensorFields, func() error { return checkSensor(sensor).broken() }},
		"product":     {&product.ProductFields, func() error { return productResource().valid(product) }},
		"stop_reason": {&reason.StopReasonFields, func() error { return reasonResource().valid(reason) }},
		"batch":       {&batch.BatchFields, func() error { return checkBatch(batch).broken() }},
		"calendar":    {&calendar.CalendarFields, func() error { return checkCalendar(calendar).broken() }},
		"api_key":     {&key.APIKeyFields, func() error { return keyResource().valid(key) }},
		"user":        {&user.UserFields, func() error { return checkUser(user).broken() }},
	}
}

// TestEveryTextAndListIsBounded sets each text and each list of each kind, at any
// depth, to what is too much or can't be stored: the thing is refused by the
// field's name.
func TestEveryTextAndListIsBounded(t *testing.T) {
	tried := 0
	for kind, c := range kinds() {
		if err := c.check(); err != nil {
			t.Errorf("%s, as it should be: %v", kind, broken(err))
		}
		visit(reflect.ValueOf(c.fields).Elem(), "", func(path string, v reflect.Value) {
			before := reflect.New(v.Type()).Elem()
			before.Set(v)
			defer func() { v.Set(before) }()
			var wrong []reflect.Value
			if v.Kind() == reflect.String {
				for _, s := range []string{strings.Repeat("x", 100_000), "a\x00b", "a\xffb"} {
					wrong = append(wrong, reflect.ValueOf(s).Convert(v.Type()))
				}
			} else {
				long := reflect.MakeSlice(v.Type(), 0, 100_000)
				for range 100_000 {
					long = reflect.Append(long, v.Index(0))
				}
				wrong = append(wrong, long)
			}
			for i, x := range wrong {
				tried++
				v.Set(x)
				if got := broken(c.check()); !strings.Contains("; "+got, "; "+path+" ") {
					t.Errorf("%s.%s, wrong in way %d: %.200q", kind, path, i, got)
				}
			}
		})
	}
	if tried < 80 {
		t.Errorf("only %d were tried", tried)
	}
	t.Logf("wrong texts and lists refused by name: %d", tried)
}

// visit gives every text and list, by the path under which a fault names it.
func visit(v reflect.Value, path string, give func(path string, v reflect.Value)) {
	switch v.Kind() {
	case reflect.String:
		give(path, v)
	case reflect.Slice:
		give(path, v)
		for i := range v.Len() {
			visit(v.Index(i), fmt.Sprintf("%s[%d]", path, i), give)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			visit(v.Field(i), strings.TrimPrefix(path+"."+name, "."), give)
		}
	}
}

// TestManyFaultsAreNamedBriefly gives a calendar in which each shift overlaps all
// others.
func TestManyFaultsAreNamedBriefly(t *testing.T) {
	x := &Calendar{CalendarFields: CalendarFields{Key: "c", Name: "c", TimeZone: "UTC", CycleDays: 7, Anchor: "2026-01-05"}}
	for range maxShifts {
		x.Shifts = append(x.Shifts, directory.Shift{Key: "a", Start: "06:00", Minutes: 480})
	}
	var e *fault.Error
	if !errors.As(checkCalendar(x).broken(), &e) || len(e.Items) != maxNamed || e.Total != maxShifts-1 {
		t.Fatalf("%+v", e)
	}
	x.Shifts = append(x.Shifts, x.Shifts[0])
	if got := broken(checkCalendar(x).broken()); got != "shifts max_items" {
		t.Error(got)
	}
}

// fullLots are lots of which two lists are, each field within its rule, more than
// Kafka takes in one record.
func fullLots(n int) []Lot {
	lots := make([]Lot, n)
	for i := range lots {
		lots[i] = Lot{Lot: strings.Repeat("\u00e9", 100), Material: strings.Repeat("<", 100), Quantity: 1e-300, Unit: strings.Repeat("u", plant.MaxUnit)}
	}
	return lots
}

// TestWhatIsAnnouncedFits holds the last wall: what keeps every rule of its
// fields and is too large as a whole is refused before it is stored.
func TestWhatIsAnnouncedFits(t *testing.T) {
	f := newFixture(t)
	who := f.tenant("acme")
	l := &Line{LineFields: LineFields{Key: "l", Name: "l", TimeZone: "UTC", Unit: "u"}}
	p := &Product{ProductFields: ProductFields{Key: "p", Name: "p", Unit: "u"}}
	if err := errors.Join(f.Lines().Create(t.Context(), who, l), f.Products().Create(t.Context(), who, p)); err != nil {
		t.Fatal(err)
	}
	b := &Batch{BatchFields: BatchFields{Key: "b", LineID: l.ID, ProductID: p.ID, Unit: "u", PlannedQuantity: 1, LotsIn: fullLots(1000)}}
	if err := f.Batches().Create(t.Context(), who, b); err != nil {
		t.Fatal("a thousand lots: ", broken(err))
	}
	_, err := f.Batches().Update(t.Context(), who, "b", AnyVersion, func(b *Batch) error {
		b.LotsOut = fullLots(1000)
		return nil
	})
	if got := broken(err); got != "batch size" {
		t.Errorf("two thousand lots: %q", got)
	}
	if now, err := f.Batches().Get(t.Context(), who.Tenant, "b"); err != nil || now.Version != 1 || len(now.LotsOut) != 0 {
		t.Errorf("after the refusal: %+v, %v", now.Meta, err)
	}
}
