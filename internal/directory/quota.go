package directory

// Quota is how fast one tenant or one key may send. What is 0 is left to the
// configuration, what is negative has no limit.
type Quota struct {
	ItemsPerSecond float64 `json:"items_per_second,omitempty"` // readings and line events
	BytesPerSecond float64 `json:"bytes_per_second,omitempty"` // of request bodies as they are sent
}

// Or gives the quota with d's values where q has none.
func (q Quota) Or(d Quota) Quota {
	if q.ItemsPerSecond == 0 {
		q.ItemsPerSecond = d.ItemsPerSecond
	}
	if q.BytesPerSecond == 0 {
		q.BytesPerSecond = d.BytesPerSecond
	}
	return q
}

// Quotas gives what the directory says of a principal's tenant and key.
func (s *Store) Quotas(p Principal) (tenant, key Quota) {
	if t, ok := s.Tenant(p.Tenant); ok {
		tenant = t.Quota
	}
	if k, ok := findID(s, &s.keys, p.KeyID); ok {
		key = k.Quota
	}
	return tenant, key
}
