package oee

import "github.com/foodflow/foodflow/internal/plant"

// Ratio is a figure that may not exist, with the reason why.
type Ratio struct {
	Value  *float64 `json:"value"`
	Reason string   `json:"reason,omitempty"`
}

// Figures are the OEE figures of summed parts, after ISO 22400.
type Figures struct {
	Availability Ratio `json:"availability"` // APT / PBT
	Performance  Ratio `json:"performance"`  // ideal time of the total / APT
	Quality      Ratio `json:"quality"`      // good / total
	OEE          Ratio `json:"oee"`          // ideal time of the good / PBT
	// Flags name what makes the figures doubtful: "performance_over_100",
	// "output_without_run_time", "run_time_without_output", "no_ideal_rate".
	Flags []string `json:"flags,omitempty"`
}

// Compute makes the figures from the sum of parts; it never rounds.
func Compute(p *plant.OEEPart) Figures {
	var f Figures
	f.Availability = ratio(float64(p.RunMS), float64(p.PlannedBusyMS), "no_planned_busy_time")
	f.Performance = ratio(p.IdealTotalMS, float64(p.RunMS), "no_run_time")
	f.Quality = ratio(p.Good, p.Total, "no_output")
	f.OEE = ratio(p.IdealGoodMS, float64(p.PlannedBusyMS), "no_planned_busy_time")
	if p.Total > 0 && p.IdealTotalMS == 0 {
		f.Performance, f.OEE = Ratio{Reason: "no_ideal_rate"}, Ratio{Reason: "no_ideal_rate"}
		f.Flags = append(f.Flags, "no_ideal_rate")
	}
	if v := f.Performance.Value; v != nil && *v > 1 {
		f.Flags = append(f.Flags, "performance_over_100")
	}
	if p.Total > 0 && p.RunMS == 0 {
		f.Flags = append(f.Flags, "output_without_run_time")
	}
	if p.Total == 0 && p.RunMS > 0 {
		f.Flags = append(f.Flags, "run_time_without_output")
	}
	return f
}

func ratio(num, den float64, reason string) Ratio {
	if den == 0 {
		return Ratio{Reason: reason}
	}
	v := num / den
	return Ratio{Value: &v}
}
