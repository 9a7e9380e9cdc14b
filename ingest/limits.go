package ingest

import (
	"errors"

	"github.com/foodflow/foodflow/internal/intake"
)

// Limits bound what one request or message may bring.
type Limits struct {
	Body     int64 // bytes as sent
	Decoded  int64 // bytes after decompression
	Items    int
	InFlight int64 // bytes of all requests between their body and Kafka's ack
	// Errors is how many bad items an answer lists.
	Errors int
	Bounds intake.Bounds
	Quotas Quotas
}

// DefaultLimits take a request of a hundred thousand readings.
func DefaultLimits() Limits {
	return Limits{
		Body: 16 << 20, Decoded: 64 << 20, Items: 100_000, InFlight: 256 << 20, Errors: 100,
		Bounds: intake.DefaultBounds(), Quotas: DefaultQuotas(),
	}
}

// Validate names every fault at once.
func (l Limits) Validate() error {
	var errs []error
	for name, ok := range map[string]bool{
		"body": l.Body > 0, "decoded": l.Decoded >= l.Body, "items": l.Items > 0, "in_flight": float64(l.InFlight)*l.Quotas.TenantShare >= float64(l.Decoded),
		"errors": l.Errors > 0,
	} {
		if !ok {
			errs = append(errs, errors.New("ingest.limits."+name+": must be positive, decoded at least body, a tenant's share of in_flight at least decoded"))
		}
	}
	return errors.Join(append(errs, l.Bounds.Validate(), l.Quotas.Validate())...)
}
