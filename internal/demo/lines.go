package demo

import "github.com/foodflow/foodflow/internal/directory"

// measure is one sensor on one line of the tables below.
type measure struct {
	key, name, unit, kind    string
	nominal, noise           float64
	idle, cip                float64
	ll, l, h, hh             float64 // 0: no such limit
	low, high                float64 // range of the instrument
	deadband                 float64
	onDelayMS, intervalMilli int64
}

func sensors(rows []measure) []Sensor {
	out := make([]Sensor, 0, len(rows))
	for _, r := range rows {
		out = append(out, Sensor{
			Sensor: directory.Sensor{
				Key: r.key, Name: r.name, Unit: r.unit, Kind: r.kind,
				LL: limit(r.ll), L: limit(r.l), H: limit(r.h), HH: limit(r.hh),
				RangeMin: &r.low, RangeMax: &r.high,
				Deadband: r.deadband, OnDelayMS: r.onDelayMS,
			},
			Nominal: r.nominal, Noise: r.noise, Idle: r.idle, CIP: r.cip, EveryMS: r.intervalMilli,
		})
	}
	return out
}

// limit is nil for 0: none of the demo's limits is exactly 0.
func limit(v float64) *float64 {
	if v == 0 {
		return nil
	}
	return &v
}

func bottling() Line {
	return Line{
		Line: directory.Line{
			Key: Bottling, Name: "Bottling line 1", Unit: "bottle", IdealRate: 300,
			SilenceTimeoutMS: 120_000, MinorStopMS: 300_000, Policy: 1, Constraint: true,
		},
		Products: []Product{
			{Product: directory.Product{Key: "water-500", Name: "Still water 0.5 l"}, PerMinute: 300},
			{Product: directory.Product{Key: "lemonade-500", Name: "Lemonade 0.5 l"}, PerMinute: 280},
			{Product: directory.Product{Key: "apple-juice-330", Name: "Apple juice 0.33 l"}, PerMinute: 240},
		},
		Sensors: sensors([]measure{
			{"filler-temperature", "Filler product temperature", "degC", "temperature", 4, 0.15, 5, 78, 0.5, 1, 7, 9, -10, 130, 0.3, 5_000, 1_000},
			{"filler-pressure", "Filler bowl pressure", "bar", "pressure", 3.2, 0.05, 3, 1.5, 1.8, 2.4, 3.8, 4.2, 0, 10, 0.1, 2_000, 1_000},
			{"filler-flow", "Product flow", "m3/h", "flow", 9, 0.2, 0, 14, 0, 0, 15, 18, 0, 25, 0.3, 5_000, 1_000},
			{"filler-weight", "Fill weight", "g", "weight", 503, 1.2, 0, 0, 0, 0, 510, 515, 0, 1_200, 1, 2_000, 1_000},
			{"product-conductivity", "Product conductivity", "mS/cm", "conductivity", 0.5, 0.02, 0.5, 45, 0, 0, 60, 80, 0, 200, 1, 5_000, 1_000},
			{"product-brix", "Sugar content", "degBx", "concentration", 10.4, 0.08, 10.4, 0.1, 0, 0, 12, 13, 0, 80, 0.1, 10_000, 2_000},
			{"cip-supply-temperature", "CIP supply temperature", "degC", "temperature", 22, 0.4, 22, 80, 0, 0, 92, 96, 0, 150, 1, 5_000, 1_000},
			{"cip-return-flow", "CIP return flow", "m3/h", "flow", 0, 0.02, 0, 13.5, 0, 0, 18, 20, -1, 25, 0.3, 5_000, 1_000},
			{"conveyor-speed", "Outfeed conveyor speed", "m/s", "speed", 0.55, 0.008, 0, 0, 0, 0, 0.8, 1, 0, 2, 0.02, 1_000, 1_000},
			{"filler-motor-current", "Filler main drive current", "A", "current", 18.5, 0.6, 1.2, 6, 0, 0, 26, 30, 0, 63, 0.5, 2_000, 500},
			{"filler-motor-vibration", "Filler main drive vibration", "mm/s", "vibration", 1.9, 0.15, 0.1, 0.6, 0, 0, 4.5, 7.1, 0, 50, 0.2, 2_000, 500},
			{"capper-torque", "Capper closing torque", "Nm", "torque", 1.7, 0.07, 0, 0, 0, 0, 2.3, 2.6, 0, 5, 0.05, 1_000, 1_000},
			{"hall-humidity", "Filling hall humidity", "%", "humidity", 52, 0.8, 52, 61, 15, 25, 75, 85, 0, 100, 2, 60_000, 5_000},
			// The recording is of a large machine's inside, in degrees Fahrenheit,
			// 2 to 108. It comes every five minutes of its own time, faster when
			// replayed.
			{MachineTemperature, "Machine temperature (recorded)", "degF", "temperature", 86, 4, 86, 86, 0, 0, 0, 0, -40, 250, 0, 0, 300_000},
		}),
	}
}

func bakery() Line {
	return Line{
		Line: directory.Line{
			Key: Bakery, Name: "Bakery line 1", Unit: "loaf", IdealRate: 60,
			SilenceTimeoutMS: 180_000, MinorStopMS: 300_000, Policy: 1, Constraint: true,
		},
		Products: []Product{
			{Product: directory.Product{Key: "toast-500", Name: "Toast bread 500 g"}, PerMinute: 60},
			{Product: directory.Product{Key: "rye-750", Name: "Rye bread 750 g"}, PerMinute: 45},
			{Product: directory.Product{Key: "sesame-500", Name: "Sesame bread 500 g"}, PerMinute: 52},
		},
		Sensors: sensors([]measure{
			{"dough-temperature", "Dough temperature", "degC", "temperature", 26, 0.25, 24, 24, 18, 22, 29, 32, -10, 60, 0.3, 30_000, 2_000},
			{"dough-weight", "Divider piece weight", "g", "weight", 560, 3, 0, 0, 0, 0, 580, 600, 0, 2_000, 2, 2_000, 1_000},
			{"mixer-motor-current", "Mixer motor current", "A", "current", 32, 1.4, 2, 2, 0, 0, 45, 52, 0, 100, 1, 2_000, 500},
			{"proofer-temperature", "Proofer temperature", "degC", "temperature", 36, 0.3, 36, 25, 28, 32, 40, 43, 0, 100, 0.5, 60_000, 2_000},
			{"proofer-humidity", "Proofer humidity", "%", "humidity", 78, 0.9, 78, 60, 40, 55, 88, 95, 0, 100, 1, 60_000, 2_000},
			{"oven-zone-1-temperature", "Oven zone 1", "degC", "temperature", 235, 1.2, 225, 90, 60, 0, 255, 270, 0, 400, 2, 10_000, 1_000},
			{"oven-zone-2-temperature", "Oven zone 2", "degC", "temperature", 228, 1.2, 220, 90, 60, 0, 250, 265, 0, 400, 2, 10_000, 1_000},
			{"oven-zone-3-temperature", "Oven zone 3", "degC", "temperature", 210, 1.1, 205, 90, 60, 0, 235, 250, 0, 400, 2, 10_000, 1_000},
			{"oven-belt-speed", "Oven belt speed", "m/min", "speed", 1.8, 0.02, 0.3, 0.3, 0, 0, 2.4, 2.8, 0, 5, 0.05, 5_000, 1_000},
			{"core-temperature", "Core temperature at the oven's end", "degC", "temperature", 97.5, 0.4, 60, 40, 0, 0, 101, 103, 0, 150, 0.3, 2_000, 2_000},
			{"cooler-temperature", "Cooling tunnel temperature", "degC", "temperature", 19, 0.3, 19, 21, 5, 10, 26, 30, -20, 80, 0.5, 60_000, 5_000},
			{"slicer-vibration", "Slicer vibration", "mm/s", "vibration", 2.3, 0.2, 0.1, 0.3, 0, 0, 4.5, 7.1, 0, 50, 0.2, 2_000, 500},
			{"packed-weight", "Packed loaf weight", "g", "weight", 506, 2, 0, 0, 0, 0, 520, 530, 0, 2_000, 2, 2_000, 1_000},
		}),
	}
}

func packing() Line {
	return Line{
		Line: directory.Line{
			Key: Packing, Name: "Packing by hand", Unit: "case", IdealRate: 4,
			SilenceTimeoutMS: 1_800_000, MinorStopMS: 300_000, Policy: 1,
		},
		ByHand:   true,
		Products: []Product{{Product: directory.Product{Key: "mixed-case", Name: "Mixed case of bread"}, PerMinute: 4}},
		Sensors: sensors([]measure{
			{HandThermometer, "Core temperature when packed", "degC", "temperature", 24, 1, 24, 24, 0, 0, 30, 35, -40, 250, 0.5, 0, 60_000},
		}),
	}
}
