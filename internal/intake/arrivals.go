package intake

import (
	"math/rand/v2"
	"strconv"
	"sync/atomic"

	"github.com/foodflow/foodflow/internal/plant"
)

// arrivalBits keep the numbers within what JSON's users read exactly (2^53).
const arrivalBits = 52

// Arrivals numbers what comes without a time of its own. A door stamps such items
// with its clock, so that several can have one time and one value: their numbers
// tell them apart from copies. A process begins anywhere, so that the numbers of
// two don't meet. It is safe for concurrent use.
type Arrivals struct{ last atomic.Int64 }

// NewArrivals begins to number.
func NewArrivals() *Arrivals {
	a := &Arrivals{}
	a.last.Store(rand.Int64N(1 << arrivalBits)) //nolint:gosec // nothing is kept secret by it
	return a
}

// Next gives the next number.
func (a *Arrivals) Next() int64 { return a.last.Add(1) }

// ArrivalIn gives the number of the i-th item of a message that was kept under an
// id, the same each time that the message is taken in.
func ArrivalIn(message plant.ID, i int) int64 {
	id := plant.NameID(message, "arrival "+strconv.Itoa(i))
	n := int64(0)
	for _, b := range id[9:] { // the 56 last bits, all of the hash
		n = n<<8 | int64(b)
	}
	return n & (1<<arrivalBits - 1)
}
