package embedded_test

import (
	"strings"
	"testing"

	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// discovery are the statements with which tools find out what there is, as their
// drivers send them, and a part of what must come back. {db} has one table t with
// columns id, name and ts, and a view v.
func discovery() map[string][][2]string {
	return map[string][][2]string{
		"any driver": {
			{"SELECT version()", "26."},
			{"SELECT timezone()", "UTC"},
			{"SELECT version(), timezone(), currentUser(), currentDatabase(), hostName()", "default"},
			{"SELECT 1", "1"},
			{"SELECT 1;", "1"},
			{"SELECT displayName()", ""},
			{"SELECT revision()", "5"},
			{"SELECT uptime()", ""},
			{"SELECT database()", "default"},
			{"SELECT name, value, changed, readonly FROM system.settings WHERE name IN ('max_threads', 'readonly', 'session_timezone')", "max_threads"},
			{"SELECT name, value FROM system.settings WHERE name LIKE 'async_insert%'", "async_insert"},
			{"SELECT value FROM system.build_options WHERE name = 'VERSION_INTEGER'", "26"},
			{"SET max_threads = 2", ""},
			{"USE {db}", ""},
		},
		"ODBC (Power BI, Excel)": {
			{"SELECT NULL AS TABLE_CAT, name AS TABLE_SCHEM, NULL AS TABLE_NAME, NULL AS TABLE_TYPE, NULL AS REMARKS FROM system.databases WHERE name = '{db}' FORMAT ODBCDriver2", "{db}"},
			{"SELECT database AS TABLE_SCHEM, name AS TABLE_NAME, if(match(engine, 'View'), 'VIEW', 'TABLE') AS TABLE_TYPE FROM system.tables WHERE database = '{db}' ORDER BY name", "v\tVIEW"},
			{"SELECT name AS COLUMN_NAME, type AS TYPE_NAME, position AS ORDINAL_POSITION, default_expression FROM system.columns WHERE database = '{db}' AND table = 't' ORDER BY position FORMAT RowBinaryWithNamesAndTypes", "LowCardinality(String)"},
			{"SELECT TABLE_SCHEMA, TABLE_NAME, COLUMN_NAME, DATA_TYPE, IS_NULLABLE FROM INFORMATION_SCHEMA.COLUMNS WHERE TABLE_SCHEMA = '{db}' AND TABLE_NAME = 't'", "DateTime64(3"},
		},
		"JDBC (DBeaver, Tableau, Metabase)": {
			{"SELECT name FROM system.databases ORDER BY name", "{db}"},
			{"SELECT '' AS TABLE_CAT, t.database AS TABLE_SCHEM, t.name AS TABLE_NAME, multiIf(t.engine = 'View', 'VIEW', t.database = 'system', 'SYSTEM TABLE', 'TABLE') AS TABLE_TYPE, t.comment AS REMARKS FROM system.tables t WHERE t.database LIKE '{db}' AND t.name LIKE '%' ORDER BY t.name", "t\tTABLE"},
			{"SELECT database, table, name, type, default_kind, default_expression, comment, is_in_primary_key, numeric_precision, numeric_scale, datetime_precision, character_octet_length FROM system.columns WHERE database = '{db}' AND table LIKE '%'", "the name"},
			{"SELECT name, engine, total_rows, total_bytes, primary_key, sorting_key, partition_key, create_table_query, metadata_modification_time FROM system.tables WHERE database = '{db}'", "CREATE TABLE"},
			{"SELECT name, type_full, expr FROM system.data_skipping_indices WHERE database = '{db}'", ""},
			{"SELECT name, case_insensitive, alias_to FROM system.data_type_families", "String"},
			{"SELECT name, is_aggregate FROM system.functions ORDER BY name", "toStartOfInterval"},
			{"SELECT name FROM system.table_engines", "MergeTree"},
			{"SELECT name FROM system.table_functions", "numbers"},
			{"SELECT name, is_input, is_output FROM system.formats", "Parquet"},
			{"SELECT time_zone FROM system.time_zones", "Europe/Vienna"},
			{"SELECT keyword FROM system.keywords", "SELECT"},
			{"SELECT * FROM system.dictionaries", ""},
			{"SELECT * FROM system.macros", ""},
			{"SELECT cluster, host_name FROM system.clusters", ""},
			{"SHOW CREATE TABLE {db}.t", "ENGINE = MergeTree"},
			{"DESCRIBE TABLE {db}.t", "the name"},
			{"EXISTS TABLE {db}.t", "1"},
			{"SELECT * FROM information_schema.referential_constraints WHERE constraint_schema = '{db}'", ""},
			{"SELECT * FROM information_schema.key_column_usage WHERE table_schema = '{db}'", "id"},
		},
		"SQLAlchemy (Superset)": {
			{"SHOW DATABASES", "{db}"},
			{"SHOW TABLES FROM {db}", "t\nv"},
			{"SHOW TABLES FROM {db} LIKE 't'", "t"},
			{"SHOW FULL TABLES FROM {db}", "v\tView"},
			{"SHOW COLUMNS FROM t FROM {db}", "LowCardinality"},
			{"SELECT name FROM system.tables WHERE database = '{db}' AND engine LIKE '%View%'", "v"},
			{"SELECT name FROM system.tables WHERE database = '{db}' AND engine NOT LIKE '%View%'", "t"},
			{"SELECT distinct name FROM system.functions ORDER BY name ASC", "sum"},
			{"EXPLAIN SELECT * FROM {db}.t", "ReadFromMergeTree"},
			{"EXPLAIN ESTIMATE SELECT * FROM {db}.t", "{db}\tt"},
			{"SELECT toStartOfMinute(toDateTime(ts)) AS __timestamp, count(*) FROM (SELECT * FROM {db}.t) AS virtual_table GROUP BY toStartOfMinute(toDateTime(ts)) ORDER BY __timestamp LIMIT 1000", "2026-11-27 10:00:00\t1"},
		},
		"Grafana": {
			{"SELECT name FROM system.databases WHERE name NOT IN ('system', 'INFORMATION_SCHEMA', 'information_schema')", "{db}"},
			{"SHOW TABLES FROM \"{db}\"", "t"},
			{"DESC TABLE \"{db}\".\"t\"", "ts"},
			{"SELECT $$it's$$ AS a FORMAT JSON", "it's"},
			{"SELECT toStartOfInterval(ts, INTERVAL 60 second) AS time, avg(id) FROM {db}.t WHERE ts >= toDateTime64(1700000000, 3) GROUP BY time ORDER BY time", "2026"},
			{"SELECT metric, value FROM system.metrics", "Query"},
			{"SELECT event, value FROM system.events", "Query"},
			{"SELECT * FROM system.parts WHERE active AND database = '{db}'", "all_1_1_0"},
			{"SELECT * FROM system.merges", ""},
			{"SELECT * FROM system.mutations", ""},
			{"SELECT * FROM system.replicas", ""},
			{"SELECT query, elapsed FROM system.processes", "system.processes"},
			{"SHOW PROCESSLIST", "processes"},
			{"SHOW SETTINGS LIKE 'max_threads'", "max_threads"},
			{"SHOW FUNCTIONS LIKE 'plus'", "plus"},
			{"SHOW GRANTS", "GRANT"},
			{"SHOW ENGINES", "MergeTree"},
			{"SHOW INDEXES FROM t FROM {db}", "PRIMARY"},
		},
	}
}

// TestDiscovery gives each statement to the owner, and to an analyst who may read
// the database.
func TestDiscovery(t *testing.T) {
	e := embeddedtest.Run(t, t.TempDir(), "-password", ownerKey, "-analysts", `[{"name": "ann", "password": "ann's secret", "databases": ["plant"]}]`)
	const db = "plant"
	for _, s := range []string{
		"CREATE DATABASE " + db,
		"CREATE TABLE plant.t (id UInt64, name LowCardinality(String) COMMENT 'the name', ts DateTime64(3, 'UTC')) ENGINE = MergeTree PARTITION BY tuple() ORDER BY id COMMENT 'a table'",
		"INSERT INTO plant.t VALUES (1, 'x', '2026-11-27 10:00:00.000')", "CREATE VIEW plant.v AS SELECT * FROM plant.t",
	} {
		if status, out := as(t, e, "", "", s); status != 200 {
			t.Fatalf("%s: %d %s", s, status, out)
		}
	}
	for tool, list := range discovery() {
		for _, tc := range list {
			statement, want := strings.ReplaceAll(tc[0], "{db}", db), strings.ReplaceAll(tc[1], "{db}", db)
			for _, user := range []string{"", "ann"} {
				if status, out := as(t, e, user, "", statement); status != 200 || !strings.Contains(out, want) {
					t.Errorf("%s, user %q: %s: %d %.300q, want %q", tool, user, statement, status, out, want)
				}
			}
		}
	}
}
