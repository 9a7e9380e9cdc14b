package simulate

import (
	"sort"
	"time"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/plant"
)

// span is a time [From, To) in one state.
type span struct {
	From, To int64
	State    plant.State
	Reason   string
	Product  string
}

// timeline plans a line's states, one after the other without a gap.
type timeline struct {
	line    *demo.Line
	random  random
	product int
	made    int64 // end of the current product's run
	spans   []span
	end     int64
}

// newTimeline begins in the middle of production: a line that begins in a stop
// would leave open how long it has stood.
func newTimeline(line *demo.Line, seed uint64, origin int64) *timeline {
	t := &timeline{line: line, random: newRandom(seed, origin, "states of "+line.Key), end: origin}
	t.product = t.random.IntN(len(line.Products))
	t.order()
	t.produce()
	return t
}

// plan makes sure that everything up to ts is planned, to the end of the stop
// that ts may lie in.
func (t *timeline) plan(ts int64) {
	for t.end <= ts {
		t.stop()
		t.produce()
	}
}

// forget drops what ended before ts.
func (t *timeline) forget(ts int64) {
	n := 0
	for n < len(t.spans) && t.spans[n].To <= ts {
		n++
	}
	t.spans = t.spans[n:]
}

// at gives the index of the span that holds ts, which is planned.
func (t *timeline) at(ts int64) int {
	return sort.Search(len(t.spans)-1, func(i int) bool { return ts < t.spans[i].To })
}

func (t *timeline) add(state plant.State, ms int64, reason string) {
	t.spans = append(t.spans, span{t.end, t.end + ms, state, reason, t.line.Products[t.product].Key})
	t.end += ms
}

// order begins the run of a product.
func (t *timeline) order() {
	t.made = t.end + t.random.seconds(40*60, 18*60, 80*60)
}

// produce runs until something happens.
func (t *timeline) produce() {
	t.add(plant.StateExecute, t.random.wait(5*time.Minute, 20*time.Second), "")
}

// stop is what interrupts production: the end of the order, or something that
// goes wrong.
func (t *timeline) stop() {
	if t.end >= t.made {
		t.change()
		return
	}
	r := t.random
	bottling := t.line.Key == demo.Bottling
	switch p := r.Float64(); {
	case p < 0.45: // something sticks; an operator clears it
		t.add(plant.StateHolding, r.seconds(2, 1, 5), "")
		t.add(plant.StateHeld, r.seconds(45, 12, 240), pick(r, minorReasons(bottling)))
		t.add(plant.StateUnholding, r.seconds(3, 1, 8), "")
	case p < 0.67:
		t.add(plant.StateLack, r.seconds(50, 10, 300), supplyReason(bottling))
	case p < 0.85:
		t.add(plant.StateTailback, r.seconds(40, 8, 240), "packer-full")
	case p < 0.90:
		t.add(plant.StateSuspending, r.seconds(2, 1, 4), "")
		t.add(plant.StateSuspended, r.seconds(60, 20, 240), "downstream")
		t.add(plant.StateUnsuspending, r.seconds(3, 1, 6), "")
	case p < 0.94:
		t.add(plant.StateStopping, r.seconds(4, 2, 8), "meal")
		t.add(plant.StateStopped, r.seconds(8*60, 4*60, 15*60), "meal")
		t.restart()
	default:
		t.breakdown(pick(r, majorReasons(bottling)))
	}
}

func (t *timeline) breakdown(reason string) {
	r := t.random
	t.add(plant.StateAborting, r.seconds(2, 1, 4), reason)
	t.add(plant.StateAborted, r.seconds(9*60, 4*60, 30*60), reason)
	t.add(plant.StateClearing, r.seconds(40, 15, 120), reason)
	t.add(plant.StateStopped, r.seconds(10, 3, 40), reason)
	t.restart()
}

func (t *timeline) restart() {
	t.add(plant.StateResetting, t.random.seconds(12, 5, 40), "")
	t.add(plant.StateIdle, t.random.seconds(6, 2, 20), "")
	t.add(plant.StateStarting, t.random.seconds(15, 6, 45), "")
}

// change goes from one product to the next: a changeover, a cleaning in place
// on the bottling line, an allergen cleaning after sesame.
func (t *timeline) change() {
	r := t.random
	t.add(plant.StateCompleting, r.seconds(20, 8, 50), "")
	t.add(plant.StateCompleted, r.seconds(10, 4, 30), "")
	before := t.line.Products[t.product].Key
	t.product = (t.product + 1) % len(t.line.Products)
	switch {
	case t.line.Key == demo.Bottling:
		t.add(plant.StateCIP, r.seconds(14*60, 9*60, 22*60), "cleaning")
	case before == "sesame-500":
		t.add(plant.StateAllergenClean, r.seconds(11*60, 7*60, 18*60), "allergen")
	}
	t.add(plant.StateChangeover, r.seconds(5*60, 150, 11*60), "product-change")
	t.restart()
	t.order()
}

func minorReasons(bottling bool) []string {
	if bottling {
		return []string{"filler-jam", "capper-fault"}
	}
	return []string{"slicer-blade", "technical"}
}

func majorReasons(bottling bool) []string {
	if bottling {
		return []string{"filler-jam", "capper-fault", "technical"}
	}
	return []string{"oven-burner", "technical"}
}

func supplyReason(bottling bool) string {
	if bottling {
		return "no-bottles"
	}
	return "no-dough"
}
