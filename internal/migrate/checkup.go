package migrate

import (
	"context"
	"errors"

	"github.com/foodflow/foodflow/internal/doctor"
)

// Checkup looks for schemas that are behind.
func (m *Migrator) Checkup() doctor.Check {
	return doctor.Check{Name: "postgres.migrations", Run: func(ctx context.Context) []doctor.Finding {
		all, err := m.Status(ctx)
		if err != nil {
			return doctor.Unreachable(errors.New(doctor.Redacted(err)), "see that Postgres runs")
		}
		var found []doctor.Finding
		for _, s := range all {
			if s.Lags() {
				found = append(found, doctor.Finding{Severity: doctor.Error, What: s.String(), Means: "requests that need what is new fail", Mend: "run foodflow migrate"})
			}
		}
		if found == nil {
			return doctor.Fine("%d schemas are up to date", len(all))
		}
		return found
	}}
}
