package masterdata

import (
	"encoding/json"
	"errors"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/postgres"
)

// Refused says whether an error is the fault of what was to be written, so that
// writing it again comes to the same. Everything else may pass, or be mended by
// the operator: Postgres away, a failover that left a connection on a standby, a
// statement that took too long, a deadlock, a full disk, a migration not run. Who
// reads a stream passes over the one and tries the other again.
func Refused(err error) bool {
	var unsupported *json.UnsupportedValueError // a figure that is no number
	if errors.As(err, &unsupported) {
		return true
	}
	switch code, _ := postgres.Code(err); {
	case code == postgres.CodeNoRole:
		return false // the tenant is on its way out, as the directory will say
	case len(code) == 5:
		return code[:2] == "22" || code[:2] == "23" // data, constraints
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.NotFound, fault.Conflict, fault.TooLarge, fault.BadRequest, fault.PreconditionFailed:
		return true
	default:
		return false
	}
}

// refusedAlone says that an error is Refused and that it was not Postgres who said
// so: the transaction goes on.
func refusedAlone(err error) bool {
	code, _ := postgres.Code(err)
	return err != nil && code == "" && Refused(err)
}
