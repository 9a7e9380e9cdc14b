// Package ddl makes FoodFlow's tables in ClickHouse and checks the settings
// that exactly-once rests on.
//
// Each file in sql holds one idempotent statement; they run in the order of
// their names. Apply may run at every start and from several processes at once.
//
// Inserts are repeated under the same insert_deduplication_token after a lost
// reply or a crash. ClickHouse recognises the token on a table, and on the
// target of a materialized view, only where that table sets
// non_replicated_deduplication_window (or is replicated). Check refuses to run
// otherwise: without the setting on a target, a repeated insert would leave the
// readings right and the rollups doubled.
//
// # Non-obvious
//
// Minutes are summed up by the processors and inserted into readings_1m; the
// hours and the days are each fed from there by one view. They are no chain: in
// a chain of views, a repetition that the first target recognises is not passed
// on to the next, and after a crash between the two the coarser rollup stayed
// short. A view on readings itself cost ten times the insert of the readings.
package ddl
