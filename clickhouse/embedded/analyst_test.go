package embedded_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/clickhouse/embedded"
	"github.com/foodflow/foodflow/clickhouse/embedded/embeddedtest"
)

// The accounts of the tests: ann and bob are analysts, "" is the owner.
const (
	annKey   = "ann's secret"
	ownerKey = "owner's secret"
	analysts = `[
 {"name": "ann", "password": "ann's secret", "databases": ["bi"], "rows": {"bi.readings": "tenant = 'a'"}, "max_time": "8s", "max_memory_bytes": 100000000, "max_result_bytes": 50000000},
 {"name": "bob", "password": "bob's secret", "databases": ["bi", "foodflow"], "max_time": "10m"}]`
)

// walled is an engine with analysts and something to keep from them.
func walled(t *testing.T) *embeddedtest.Engine {
	t.Helper()
	e := embeddedtest.Run(t, t.TempDir(), "-password", ownerKey, "-analysts", analysts)
	for _, s := range []string{
		"CREATE DATABASE foodflow", "CREATE DATABASE bi", "CREATE TABLE foodflow.t (tenant String, v UInt64) ENGINE = MergeTree ORDER BY v",
		"INSERT INTO foodflow.t SELECT if(number % 2 = 0, 'a', 'b'), number FROM numbers(10)",
		"CREATE VIEW bi.readings DEFINER = default SQL SECURITY DEFINER AS SELECT tenant, v FROM foodflow.t",
		"CREATE VIEW bi.lines DEFINER = default SQL SECURITY DEFINER AS SELECT 'l1' AS line",
		"CREATE TABLE bi.plain (v UInt64) ENGINE = MergeTree ORDER BY v",
	} {
		if status, out := as(t, e, "", "", s); status != 200 {
			t.Fatalf("%s: %d %s", s, status, out)
		}
	}
	return e
}

// as posts a statement as a user.
func as(t *testing.T, e *embeddedtest.Engine, user, params, statement string) (int, string) {
	t.Helper()
	key := map[string]string{"": ownerKey, "ann": annKey, "bob": "bob's secret"}[user]
	status, out, _ := post(t, e.URL, params, statement, "X-ClickHouse-User", user, "X-ClickHouse-Key", key)
	return status, out
}

func TestAnalystsReadTheirs(t *testing.T) {
	e := walled(t)
	for _, tc := range []struct{ user, params, statement, want string }{
		{"ann", "", "SELECT 1", "1\n"}, // without a database, too
		{"ann", "database=bi", "SELECT count(), min(tenant), max(tenant) FROM readings", "5\ta\ta\n"},
		{"ann", "", "SELECT count() FROM bi.readings", "5\n"},
		{"ann", "", "SELECT count() FROM merge('bi', 'readings')", "5\n"},
		{"ann", "", "SELECT count() FROM bi.readings SETTINGS enable_analyzer = 0", "5\n"},
		{"ann", "", "SELECT DISTINCT tenant FROM (SELECT tenant FROM loop('bi', 'readings') LIMIT 50)", "a\n"},
		{"ann", "", "SELECT count() FROM bi.readings WHERE throwIf(tenant = 'b', 'leaked') = 0", "5\n"},
		{"ann", "", "SELECT 'b' IN (SELECT tenant FROM bi.readings)", "0\n"},
		{"ann", "", "SELECT * FROM bi.lines", "l1\n"}, // nobody has a condition on it
		{"bob", "", "SELECT count() FROM bi.readings", "0\n"},
		{"bob", "", "SELECT count() FROM foodflow.t", "10\n"},
		{"", "", "SELECT count() FROM bi.readings", "10\n"},
		{"ann", "", "SHOW DATABASES", "bi\ndefault\n"},
		{"ann", "", "SHOW TABLES FROM bi", "lines\nplain\nreadings\n"},
		{"ann", "", "SELECT groupArray(DISTINCT database) FROM system.columns WHERE database NOT IN ('system', 'information_schema', 'INFORMATION_SCHEMA')", "['bi']\n"},
		{"ann", "max_threads=1&max_memory_usage=1000000", "SELECT getSetting('max_threads'), getSetting('max_memory_usage')", "1\t1000000\n"},
		{"ann", "", "SELECT getSetting('max_memory_usage'), getSetting('max_execution_time'), getSetting('readonly')", "100000000\t8\t2\n"},
		{"ann", "role=ann", "SELECT currentRoles()", "['ann']\n"},
		{"ann", "", "SELECT -- a comment\n\t'a\\tb\\\\' AS s\nFORMAT JSONEachRow", `{"s":"a\tb\\"}` + "\n"},
		{"ann", "param_x=7", "SELECT {x:UInt8}, 'file'", "7\tfile\n"},
		{"ann", "default_format=JSONEachRow", "SELECT 1 AS a", `{"a":1}` + "\n"},
	} {
		if status, out := as(t, e, tc.user, tc.params, tc.statement); status != 200 || out != tc.want {
			t.Errorf("%s: %s (%s): %d %q, want %q", tc.user, tc.statement, tc.params, status, out, tc.want)
		}
	}
	// External data of a request are not in any database.
	form := "--B\r\nContent-Disposition: form-data; name=\"ext\"; filename=\"ext\"\r\n\r\n1\n2\n\r\n--B--\r\n"
	status, out, _ := post(t, e.URL, "query=SELECT+sum(a)+FROM+ext&ext_structure=a+UInt8", form, "Content-Type", "multipart/form-data; boundary=B", "X-ClickHouse-User", "ann", "X-ClickHouse-Key", annKey)
	if status != 200 || out != "3\n" {
		t.Errorf("external data: %d %s", status, out)
	}
	for _, key := range []string{"", "wrong", ownerKey} {
		if status, _, _ := post(t, e.URL, "", "SELECT 1", "X-ClickHouse-User", "ann", "X-ClickHouse-Key", key); status != 403 {
			t.Errorf("the password %q was answered with %d", key, status)
		}
	}
}

// refusals are statements that an analyst must not get through. Those with a
// control are possible to the owner, so what refuses them is the wall.
func refusals(secret string) []struct{ name, params, statement, code, control string } {
	quoted := "'" + secret + "'"
	return []struct{ name, params, statement, code, control string }{
		{"another database", "", "SELECT count() FROM foodflow.t", "497", "10"},
		{"chosen by the URL", "database=foodflow", "SELECT count() FROM t", "497", "10"},
		{"chosen by USE", "", "USE foodflow", "497", ""},
		{"through merge", "", "SELECT count() FROM merge('foodflow', 't')", "636", "10"},
		{"through merge of all", "", "SELECT count() FROM merge(REGEXP('foodflow|bi'), 't')", "636", "10"},
		{"through a view function", "", "SELECT count() FROM view(SELECT * FROM foodflow.t)", "497", "10"},
		{"through an index", "", "SELECT count() FROM mergeTreeIndex('foodflow', 't')", "497", "2"},
		{"through a loop", "", "SELECT v FROM loop('foodflow', 't') LIMIT 1", "497", "0"},
		{"its columns", "", "DESCRIBE TABLE foodflow.t", "497", "tenant"},
		{"its making", "", "SHOW CREATE TABLE foodflow.t", "497", "CREATE TABLE"},
		{"its plan", "", "EXPLAIN SELECT * FROM foodflow.t", "497", "foodflow.t"},
		{"a new role", "", "SET ROLE owner", "497", ""},
		{"a new role, oddly written", "", "SET\u00a0ROLE\u2003owner", "497", ""},
		{"a new role beside another statement", "", "SET max_threads = 1 PARALLEL WITH SET ROLE owner", "", ""},
		{"a new role in the URL", "role=owner", "SELECT 1", "512", "1"},
		{"another user", "", "EXECUTE AS default SELECT 1", "497", ""},
		{"no longer reading only", "", "SET readonly = 0", "164", ""},
		{"no longer reading only, in the URL", "readonly=0", "SELECT 1", "164", "1"},
		{"no longer reading only, in the statement", "", "SELECT 1 SETTINGS readonly = 0", "164", "1"},
		{"another profile", "profile=default", "SELECT 1", "497", "1"},
		{"another profile in the statement", "", "SELECT 1 SETTINGS profile = 'default'", "497", "1"},
		{"more memory", "max_memory_usage=100000001", "SELECT 1", "452", "1"},
		{"more memory in the statement", "", "SELECT 1 SETTINGS max_memory_usage = 0", "452", "1"},
		{"the engine's memory", "", "SELECT 1 SETTINGS max_memory_usage = DEFAULT", "497", ""},
		{"more time", "", "SET max_execution_time = 9", "452", ""},
		{"a larger answer", "max_result_bytes=50000001", "SELECT 1", "452", "1"},
		{"another dialect", "", "SELECT 1 SETTINGS dialect = 'prql'", "452", ""},
		{"an insert", "", "INSERT INTO bi.plain VALUES (1)", "497", ""},
		{"an insert of data", "query=INSERT+INTO+bi.plain+FORMAT+TSV", "1\n", "497", ""},
		{"an insert of rows", "", "INSERT INTO bi.plain SELECT 1", "497", ""},
		{"an insert into a function", "", "INSERT INTO FUNCTION file('/tmp/x', 'TSV', 'a UInt8') SELECT 1", "497", ""},
		{"a table", "", "CREATE TABLE bi.x (a UInt8) ENGINE = Memory", "497", ""},
		{"a temporary table on a file", "", "CREATE TEMPORARY TABLE x (s String) ENGINE = File('LineAsString', " + quoted + ")", "497", ""},
		{"a view", "", "CREATE VIEW bi.x AS SELECT 1", "497", ""},
		{"a drop", "", "DROP TABLE bi.plain", "497", ""},
		{"a mutation", "", "ALTER TABLE bi.plain DELETE WHERE 1", "497", ""},
		{"a truncation", "", "TRUNCATE TABLE bi.plain", "497", ""},
		{"a user", "", "CREATE USER x", "497", ""},
		{"a grant", "", "GRANT SELECT ON foodflow.* TO ann", "497", ""},
		{"a function", "", "CREATE FUNCTION f AS x -> x", "497", ""},
		{"a backup", "", "BACKUP TABLE bi.plain TO File('x')", "497", ""},
		{"the engine's end", "", "SYSTEM SHUTDOWN", "497", ""},
		{"the engine's merges", "", "SYSTEM STOP MERGES", "497", ""},
		{"a file, as a table", "", "SELECT * FROM file(" + quoted + ", 'LineAsString')", "497", "canary"},
		{"a file, as a value", "", "SELECT file(" + quoted + ")", "497", "canary"},
		{"a file, with a space", "", "SELECT file\u00a0(" + quoted + ")", "497", "canary"},
		{"a file, quoted", "", "SELECT `fil\\x65`(" + quoted + ")", "497", "canary"},
		{"a file, in other quotes", "", "SELECT “file”(‘" + secret + "’)", "497", "canary"},
		{"a file, applied", "", "SELECT * APPLY file FROM (SELECT " + quoted + ")", "497", "canary"},
		{"a file, named as a table", "", "SELECT * FROM `" + secret + "`", "497", ""},
		{"a file, as a format's template", "", "SELECT 1 AS a FORMAT Template SETTINGS format_template_row = " + quoted, "452", ""},
		{"a file, as a format's template in the URL", "format_template_resultset=" + secret, "SELECT 1 AS a FORMAT Template", "452", ""},
		{"a file, as a schema", "", "SELECT * FROM format(Protobuf, 'x') SETTINGS format_schema = '" + secret + ":M'", "452", ""},
		{"a file written as a schema", "", "SELECT 1 AS a FORMAT Protobuf SETTINGS output_format_schema = '" + secret + ".x'", "452", ""},
		{"a file written with errors", "input_format_record_errors_file_path=" + secret + ".x", "SELECT * FROM format(CSV, 'a Int8', 'x\n1') SETTINGS input_format_allow_errors_num = 10", "452", ""},
		{"a cached answer", "use_query_cache=1", "SELECT 1", "452", "1"},
		{"a file to write", "", "SELECT 1 INTO OUTFILE '/tmp/x'", "358", ""},
		{"a file to write, oddly written", "", "DESCRIBE (SELECT 1) INTO\u00a0OUTFILE '/tmp/x'", "358", ""},
		{"a text that is run", "", "SELECT * FROM eval('SELECT 1') SETTINGS allow_experimental_eval_table_function = 1", "497", ""},
		{"an address", "", "SELECT * FROM url('http://127.0.0.1:1/', 'TSV', 'a String')", "497", ""},
		{"a bucket", "", "SELECT * FROM s3('http://127.0.0.1:1/bucket/x', 'TSV', 'a String')", "497", ""},
		{"another server", "", "SELECT * FROM remote('127.0.0.1:9000', system.one)", "497", ""},
		{"a Postgres", "", "SELECT * FROM postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')", "497", ""},
		{"a program", "", "SELECT * FROM executable('cat', 'TSV', 'a String')", "497", ""},
		{"nonsense", "", "SELECT nonsense(", "62", ""},
		{"users", "", "SELECT * FROM system.users", "497", "default"},
	}
}

func TestAnalystsAreWalledIn(t *testing.T) {
	e := walled(t)
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("canary\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range refusals(secret) {
		t.Run(tc.name, func(t *testing.T) {
			status, out := as(t, e, "ann", tc.params, tc.statement)
			if status == 200 || !strings.HasPrefix(out, "Code: "+tc.code) || strings.Contains(out, "canary") {
				t.Errorf("%d %s", status, out)
			}
			if tc.control == "" {
				return
			}
			if status, out := as(t, e, "", tc.params, tc.statement); status != 200 || !strings.Contains(out, tc.control) {
				t.Errorf("to the owner: %d %s, want %s", status, out, tc.control)
			}
		})
	}
	if left, err := filepath.Glob(secret + "?*"); err != nil || len(left) > 0 {
		t.Errorf("written: %v %v", left, err)
	}
	// The same in a session, where something could be left behind.
	as(t, e, "ann", "session_id=s", "SET\u00a0ROLE owner")
	as(t, e, "ann", "session_id=s", "SET readonly = 0")
	if status, out := as(t, e, "ann", "session_id=s", "SELECT count() FROM foodflow.t"); status == 200 {
		t.Errorf("in a session: %s", out)
	}
	as(t, e, "", "session_id=s", "CREATE TEMPORARY TABLE mine (a UInt8)")
	if status, out := as(t, e, "ann", "session_id=s", "SELECT * FROM mine"); status == 200 {
		t.Errorf("another user's session: %s", out)
	}
	if _, out := as(t, e, "", "", "SELECT (SELECT count() FROM bi.plain), (SELECT count() FROM foodflow.t), (SELECT count() FROM system.tables WHERE database = 'bi')"); out != "0\t10\t3\n" {
		t.Errorf("afterwards: %s", out)
	}
}

// TestAnalystsLimits holds each limit; the owner's statements are the control.
func TestAnalystsLimits(t *testing.T) {
	e := walled(t)
	for _, tc := range []struct{ name, statement, code string }{
		{"memory", "SELECT length(groupArray(number)) FROM numbers(20000000)", "241"},
		{"time", "SELECT count() FROM numbers(120) WHERE sleepEachRow(0.1) = 0 SETTINGS max_block_size = 1", "159"},
		{"answer", "SELECT number FROM numbers(8000000) FORMAT Null", "396"},
	} {
		if status, out := as(t, e, "ann", "", tc.statement); status == 200 || !strings.Contains(out, "Code: "+tc.code) {
			t.Errorf("%s: %d %.200s", tc.name, status, out)
		}
		if status, out := as(t, e, "", "", tc.statement); status != 200 {
			t.Errorf("%s of the owner: %d %.200s", tc.name, status, out)
		}
		if status, out := as(t, e, "ann", "", "SELECT 1"); status != 200 {
			t.Errorf("after %s: %d %s", tc.name, status, out)
		}
	}
}

// TestAnalystsSeeTheirOwnStatements: not those of others, which hold what those
// ask for, and they can end their own alone.
func TestAnalystsSeeTheirOwnStatements(t *testing.T) {
	e := walled(t)
	mark := fmt.Sprintf("mark%d", rand.Uint64())
	ends := map[string]<-chan error{}
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	for user, key := range map[string]string{"bob": "bob's+secret", "default": "owner's+secret"} {
		ends[user] = start(ctx, e.URL, "user="+user+"&password="+key+"&query_id=of-"+user, endless(mark)["one number"])
	}
	seen := func(user string) string {
		_, out := as(t, e, user, "", "SELECT count() FROM system.processes WHERE position(query, concat('"+mark[:4]+"', '"+mark[4:]+"')) > 0")
		return out
	}
	until(t, patience, "both run", func() bool { return seen("") == "2\n" })
	for _, s := range []string{
		"SELECT query FROM system.processes", "SHOW PROCESSLIST", "SELECT * FROM merge('system', 'processes')", "SELECT (SELECT groupArray(query) FROM system.processes)",
		"SELECT query FROM system.processes SETTINGS enable_analyzer = 0", "KILL QUERY WHERE 1 TEST", "SELECT last_error_message FROM system.errors",
	} {
		if _, out := as(t, e, "ann", "", s); strings.Contains(out, mark) {
			t.Errorf("%s shows the statements of others: %s", s, out)
		}
	}
	if got := seen("bob"); got != "1\n" {
		t.Errorf("bob sees %s of his statements", got)
	}
	for _, s := range []string{"KILL QUERY WHERE 1 ASYNC", "KILL QUERY WHERE query_id = 'of-bob' ASYNC", "KILL QUERY WHERE user = 'default' ASYNC"} {
		as(t, e, "ann", "", s)
	}
	if got := seen(""); got != "2\n" {
		t.Errorf("after an analyst's KILL %s run", got)
	}
	if status, out := as(t, e, "bob", "", "KILL QUERY WHERE query_id = 'of-bob' ASYNC"); status != 200 || !strings.Contains(out, mark) {
		t.Errorf("bob ends his own: %d %s", status, out)
	}
	until(t, cancelLimit, "it ends", func() bool { return seen("") == "1\n" })
	cancel()
	for user, end := range ends {
		if err := <-end; err == nil {
			t.Errorf("%s got a whole answer", user)
		}
	}
}

// TestEverySystemTableIsDecided asks an analyst for every table of the engine
// itself: what tells of others must be empty or refused. A table that a new engine
// brings fails here until somebody has looked at it.
func TestEverySystemTableIsDecided(t *testing.T) {
	e := walled(t)
	open := strings.Fields(`aggregate_function_combinators asynchronous_loader azure_queue_settings build_options clusters codecs collations columns
completions constraints contributors current_roles dashboards data_skipping_index_types data_skipping_indices data_type_families database_engines
database_replicas databases detached_parts detached_tables dictionaries dictionary_layouts dictionary_sources dimensional_metrics disk_types documentation
enabled_roles events filesystem_cache_settings formats functions graphite_retentions histogram_metrics jemalloc_bins jemalloc_profile_text jemalloc_stats
keywords licenses macros masking_policies merge_tree_settings metrics numbers numbers_mt one part_moves_between_shards parts parts_columns primes
privileges processes projection_parts projection_parts_columns projections quota_limits quota_usage quotas_usage replicas replicated_merge_tree_settings resources
rocksdb s3_queue_settings settings settings_changes storage_policies table_engines table_functions tables time_zones tokenizers unicode
user_defined_functions view_refreshes workloads zeros zeros_mt`)
	// What they hold of databases is those the analyst may see. Five are endless, and
	// models waits for a helper program that there isn't.
	skipped := []string{"numbers", "numbers_mt", "primes", "zeros", "zeros_mt", "models"}
	_, names := as(t, e, "", "", "SELECT name FROM system.tables WHERE database = 'system' ORDER BY name")
	for name := range strings.Lines(names) {
		name = strings.TrimSpace(name)
		if slices.Contains(skipped, name) {
			continue
		}
		if slices.Contains(open, name) {
			if status, out := as(t, e, "ann", "", "SELECT count() FROM system."+name+" WHERE database = 'foodflow'"); status == 200 && out != "0\n" {
				t.Errorf("system.%s tells of a database that is not the analyst's", name)
			}
			continue
		}
		status, out := as(t, e, "ann", "", "SELECT * FROM system."+name+" WHERE 1 FORMAT TSV")
		if status == 200 && out != "" {
			t.Errorf("system.%s shows an analyst %.200q", name, out)
		}
	}
}

func TestAnalystsAreParsed(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "key")
	if err := os.WriteFile(file, []byte("from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := embedded.ParseAnalysts(`[{"name": "a", "password_file": "` + file + `", "databases": ["bi"], "max_time": "90s"}]`)
	if err != nil || len(list) != 1 || list[0].Password != "from a file" || list[0].MaxTime != 90*time.Second || list[0].MaxMemory != embedded.DefaultAnalyst().MaxMemory {
		t.Fatalf("%+v %v", list, err)
	}
	if list, err := embedded.ParseAnalysts(" "); err != nil || list != nil {
		t.Errorf("nothing: %v %v", list, err)
	}
	for text, want := range map[string]string{
		`{"name": "a"}`:                                               "must be a JSON list",
		`[{"name": "a", "pasword": "canary"}]`:                        "pasword",
		`[{"name": "a", "password": "canary]`:                         "must be a JSON list",
		`[{"name": "a", "password": ["canary"]}]`:                     "password",
		`[{"name": "a", "password": "canary", "password_file": "x"}]`: "both",
		`[{"name": "a", "password_file": "/nothing/there"}]`:          "reading its password",
		`[{"name": "a", "max_time": "canary"}]`:                       "max_time",
		`[] canary`:                                                   "follows",
	} {
		if _, err := embedded.ParseAnalysts(text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", text, err)
		}
	}
	good := embedded.Analyst{Name: "a", Password: "p", Databases: []string{"bi"}, MaxMemory: 1, MaxTime: time.Second, MaxResultBytes: 1}
	for want, change := range map[string]func(*embedded.Config){
		"clickhouse.password":     func(c *embedded.Config) { c.Password = "" },
		"is not a name":           func(c *embedded.Config) { c.Analysts[0].Name = "a b" },
		"is taken":                func(c *embedded.Config) { c.Analysts[0].Name = "default" },
		"has no password":         func(c *embedded.Config) { c.Analysts[0].Password = "" },
		"has no databases":        func(c *embedded.Config) { c.Analysts[0].Databases = nil },
		"is not a database":       func(c *embedded.Config) { c.Analysts[0].Databases = []string{"a.b"} },
		"it holds what others do": func(c *embedded.Config) { c.Analysts[0].Databases = []string{"system"} },
		"must be positive":        func(c *embedded.Config) { c.Analysts[0].MaxMemory = 0 },
		"is no table":             func(c *embedded.Config) { c.Analysts[0].Rows = map[string]string{"other.t": "1"} },
		"has no condition":        func(c *embedded.Config) { c.Analysts[0].Rows = map[string]string{"bi.t": " "} },
	} {
		cfg := embedded.DefaultConfig()
		cfg.Password, cfg.Analysts = "p", []embedded.Analyst{good}
		if err := cfg.Validate(); err != nil {
			t.Fatal(err)
		}
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
