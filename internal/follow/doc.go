// Package follow lets a tenant's master data follow the stream: it goes through
// records that a consumer group has read, and does with the store what each of
// them calls for. What that is, its users say (facts, annunciator).
//
// # Promises
//
// Handle does what records call for, tenant by tenant: of one tenant in the order of
// the records and together, which the store makes one transaction, of several tenants
// side by side, four at a time. So what one tenant's records cost is spread over all
// that a poll brings of them, and a tenant whose transactions are slow costs the others
// little. It returns an error when the
// store or the schema registry can't be asked now (Postgres away, failing over, out
// of room, not migrated); the same records may be handed over again then, so what
// they call for must be harmless when done twice.
//
// Only what is refused for what it says is passed over, for trying again would
// hold up everything behind it for good. A record that can't be read is passed
// over as well: the processors have put it on the dead-letter topic. So is what
// concerns a tenant that doesn't exist any more. Each is counted, by reason. What the
// store refuses alone keeps nothing back; where it refuses everything because of one
// deed, halves are tried until that one is found.
//
// # Limits
//
// A poll ends with its last tenant: while one can't be seen to now, all records of
// the poll come again, and none behind them.
package follow
