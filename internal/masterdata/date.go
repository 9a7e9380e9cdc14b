package masterdata

import (
	"database/sql/driver"
	"fmt"
	"time"
)

// date carries a YYYY-MM-DD text to and from a column of type date, which
// knows no time zone.
type date string

// Scan reads what the driver gives for a date.
func (d *date) Scan(src any) error {
	switch v := src.(type) {
	case time.Time:
		*d = date(v.Format(time.DateOnly))
		return nil
	case string:
		*d = date(v)
		return nil
	}
	return fmt.Errorf("reading a date from %T", src)
}

// Value gives the text.
func (d *date) Value() (driver.Value, error) { return string(*d), nil }
