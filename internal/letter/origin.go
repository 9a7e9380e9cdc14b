package letter

import (
	"fmt"

	"github.com/foodflow/foodflow/internal/plant"
)

// HeaderKey names the Kafka header of what a replay published: an Origin.
const HeaderKey = "foodflow-letter"

// Origin says which letter a record was in.
type Origin struct {
	Letter, Run plant.ID
	// Index is the record's place among those of its letter.
	Index int
	// Until is up to when the broker must have stored the record for it to count,
	// Unix milliseconds.
	Until int64
}

// Value is the header's value.
func (o Origin) Value() []byte {
	return fmt.Appendf(nil, "%s %s %d %d", o.Letter, o.Run, o.Index, o.Until)
}

// ParseOrigin reads a header's value.
func ParseOrigin(value []byte) (o Origin, ok bool) {
	var letter, run string
	if n, err := fmt.Sscanf(string(value), "%s %s %d %d", &letter, &run, &o.Index, &o.Until); err != nil || n != 4 {
		return Origin{}, false
	}
	var err error
	if o.Letter, err = plant.ParseID(letter); err != nil {
		return Origin{}, false
	}
	o.Run, err = plant.ParseID(run)
	return o, err == nil
}

// Overdue says that a record with this header's value was stored, at that time,
// after the claim under which it was published had ended: it doesn't count, since
// another replay may have published it meanwhile.
func Overdue(value []byte, stored int64) bool {
	o, ok := ParseOrigin(value)
	return ok && stored > o.Until
}
