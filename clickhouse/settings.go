package clickhouse

import "net/url"

// InsertSettings are the settings of an insert that may be repeated under token
// and counts once. ddl.Check asks the server for them before anything runs.
//
// One insert is one block per month partition, so that the token covers it
// whole; the number of months is not limited, since a block that ClickHouse
// refuses for good would hold up its slot for ever. wait_end_of_query makes a
// 200 mean that table and rollups have the rows.
func InsertSettings(token string) url.Values {
	return url.Values{
		"insert_deduplication_token": {token},
		"insert_deduplicate":         {"1"},
		"async_insert":               {"0"},
		"deduplicate_blocks_in_dependent_materialized_views": {"1"},
		"materialized_views_ignore_errors":                   {"0"},
		"max_insert_block_size":                              {"4194304"},
		"min_insert_block_size_rows":                         {"4194304"},
		"min_insert_block_size_bytes":                        {"2147483648"},
		"max_insert_threads":                                 {"1"},
		"max_partitions_per_insert_block":                    {"0"},
		"input_format_parallel_parsing":                      {"0"},
		"input_format_native_allow_types_conversion":         {"1"},
		"wait_end_of_query":                                  {"1"},
	}
}
