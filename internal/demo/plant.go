package demo

import (
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
)

// The demo tenant and its first user.
const (
	TenantKey  = "demo"
	TenantName = "Demo Foods"
	AdminEmail = "admin@demo.foodflow.example"
	TimeZone   = "Europe/Berlin"
)

// The keys of the lines, of the sensor that replays the machine temperature
// recording of NAB, and of the one for hand use.
const (
	Bottling           = "bottling-1"
	Bakery             = "bakery-1"
	Packing            = "packing-hand"
	MachineTemperature = "machine-temperature"
	HandThermometer    = "hand-thermometer"
)

// Plant is the whole of it.
type Plant struct {
	Tenant      directory.Tenant
	Calendar    directory.Calendar
	StopReasons []directory.StopReason
	Lines       []Line
}

// Line is a line with what it makes and what is measured on it.
type Line struct {
	directory.Line
	// ByHand says that people work and report it, so that the simulator doesn't.
	ByHand   bool
	Products []Product
	Sensors  []Sensor
}

// Product is a product with its ideal rate on the line it is listed under.
type Product struct {
	directory.Product
	PerMinute float64
}

// Sensor is a sensor with how it behaves in good order.
type Sensor struct {
	directory.Sensor
	// Nominal is the value around which it moves while the line runs, Noise
	// the standard deviation around it.
	Nominal float64
	Noise   float64
	// Idle is the value it goes to while the line stands, CIP while it is
	// being cleaned; both equal Nominal where the sensor doesn't care.
	Idle float64
	CIP  float64
	// EveryMS is the interval between its readings.
	EveryMS int64
}

// TenantID is the id of the demo tenant.
func TenantID() plant.ID { return plant.NameID(plant.ID{}, "foodflow", "tenant", TenantKey) }

// ID is the id of a thing of the demo plant by its kind and key.
func ID(kind, key string) plant.ID { return plant.NameID(TenantID(), kind, key) }

// Describe gives the plant.
func Describe() Plant {
	p := Plant{
		Tenant:      directory.Tenant{ID: TenantID(), Key: TenantKey, Name: TenantName},
		Calendar:    calendar(),
		StopReasons: stopReasons(),
		Lines:       []Line{bottling(), bakery(), packing()},
	}
	for i := range p.Lines {
		complete(&p.Lines[i], p.Calendar.ID)
	}
	return p
}

// complete derives what follows from keys.
func complete(l *Line, calendar plant.ID) {
	l.ID, l.Tenant, l.TimeZone = ID(directory.KindLine, l.Key), TenantID(), TimeZone
	l.Calendar = calendar
	for i := range l.Products {
		p := &l.Products[i]
		p.ID, p.Tenant, p.Unit = ID(directory.KindProduct, p.Key), TenantID(), l.Unit
		l.Ideal = append(l.Ideal, directory.ProductRate{Product: p.Key, PerMinute: p.PerMinute})
	}
	for i := range l.Sensors {
		s := &l.Sensors[i]
		s.ID, s.Tenant, s.Line = ID(directory.KindSensor, s.Key), TenantID(), l.ID
		s.Detect = directory.DetectDefault
	}
}

// calendar is round the clock in three shifts with a meal break each, so that
// the demo produces whenever someone looks.
func calendar() directory.Calendar {
	c := directory.Calendar{
		ID: ID(directory.KindCalendar, "three-shifts"), Tenant: TenantID(), Key: "three-shifts",
		Name: "Three shifts", TimeZone: TimeZone, CycleDays: 7, Anchor: "2026-01-05",
	}
	for day := range c.CycleDays {
		for _, s := range []struct{ key, start string }{{"early", "06:00"}, {"late", "14:00"}, {"night", "22:00"}} {
			c.Shifts = append(c.Shifts, directory.Shift{
				Key: s.key, Day: day, Start: s.start, Minutes: 480,
				Breaks: []directory.Break{{After: 240, Minutes: 30}},
			})
		}
	}
	return c
}

// stopReasons is a small tree; a reason's class decides the ledger's class.
func stopReasons() []directory.StopReason {
	var out []directory.StopReason
	add := func(parent, key, name string, class plant.TimeClass) {
		r := directory.StopReason{ID: ID(directory.KindStopReason, key), Tenant: TenantID(), Key: key, Name: name, Class: class.String()}
		if parent != "" {
			r.Parent = ID(directory.KindStopReason, parent)
		}
		out = append(out, r)
	}
	add("", "technical", "Technical fault", plant.ClassBreakdown)
	add("technical", "filler-jam", "Filler jam", plant.ClassBreakdown)
	add("technical", "capper-fault", "Capper fault", plant.ClassBreakdown)
	add("technical", "oven-burner", "Oven burner fault", plant.ClassBreakdown)
	add("technical", "slicer-blade", "Slicer blade change", plant.ClassBreakdown)
	add("", "supply", "Waiting for material", plant.ClassStarved)
	add("supply", "no-bottles", "No bottles from the depalletiser", plant.ClassStarved)
	add("supply", "no-dough", "No dough from the divider", plant.ClassStarved)
	add("", "downstream", "Downstream blocked", plant.ClassBlocked)
	add("downstream", "packer-full", "Packer full", plant.ClassBlocked)
	add("", "product-change", "Change of product", plant.ClassSetup)
	add("", "cleaning", "Cleaning in place", plant.ClassCIP)
	add("", "allergen", "Cleaning between allergens", plant.ClassAllergenClean)
	add("", "meal", "Meal break", plant.ClassPlannedStop)
	return out
}
