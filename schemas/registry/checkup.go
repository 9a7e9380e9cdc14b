package registry

import (
	"context"

	"github.com/foodflow/foodflow/internal/doctor"
)

// Checkup asks the registry for a sign of life.
func (c *Client) Checkup() doctor.Check {
	return doctor.Check{Name: "registry.reachable", Run: func(ctx context.Context) []doctor.Finding {
		subjects, err := c.sr.Subjects(ctx)
		if err != nil {
			return doctor.Unreachable(err, "see that the registry runs and that registry.url, credentials and TLS are right; what is known is read and written on meanwhile")
		}
		return doctor.Fine("has %d subjects", len(subjects))
	}}
}
