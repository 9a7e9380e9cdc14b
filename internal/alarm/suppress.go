package alarm

import "github.com/foodflow/foodflow/internal/plant"

// SuppressedBy says whether a line's state makes the alarms of its sensors
// meaningless: a temperature of cleaning in place is no fault of the product.
func SuppressedBy(s plant.State) bool {
	return s == plant.StateCIP || s == plant.StateAllergenClean || s == plant.StateMaintenance
}
