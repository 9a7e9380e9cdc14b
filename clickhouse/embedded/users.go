package embedded

import (
	"encoding/xml"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ownerRole is the engine's role that may do anything.
const ownerRole = "owner"

// The engine knows one user. What tells accounts apart are roles and profiles,
// which it takes from a users.xml: an analyst's connections set its role, which
// takes all other grants away, and its profile, whose constraints hold its limits.
// Row filters ask for the role. Passwords aren't in there: the HTTP handler checks
// them.

// limits are the settings of an analyst, in the order in which they are set.
func (a Analyst) limits() [][2]string {
	return [][2]string{
		{"max_memory_usage", strconv.FormatInt(a.MaxMemory, 10)},
		{"max_execution_time", strconv.FormatFloat(a.MaxTime.Seconds(), 'f', -1, 64)},
		{"max_result_bytes", strconv.FormatInt(a.MaxResultBytes, 10)},
	}
}

// frozen are settings that an analyst can't change at all: in another dialect a
// statement isn't what it looks like; these functions reach out of the engine;
// these formats read and write files of the machine, wherever they are; and a cached
// answer would outlive a change of what its account may see.
func frozen() []string {
	return []string{
		tagSetting, "dialect", "allow_experimental_eval_table_function", "allow_experimental_ai_functions", "allow_introspection_functions",
		"format_schema", "format_schema_source", "format_template_resultset", "format_template_row", "output_format_schema",
		"input_format_record_errors_file_path", "rename_files_after_processing", "use_query_cache",
	}
}

// tagPrefix begins the tags of the connections of the account name.
func tagPrefix(name string) string { return "foodflow-" + name + "-" }

// setup are the statements that make a new connection the analyst's. The tag was
// set before.
func (a Analyst) setup() []string {
	var limits []string
	for _, l := range a.limits() {
		limits = append(limits, l[0]+" = "+l[1])
	}
	return []string{
		"SET ROLE " + quoteName(a.Name),
		"SET allow_introspection_functions = 0",
		"SET profile = " + quoteText(a.Name),
		"SET " + strings.Join(limits, ", "),
		"SET readonly = 2",
	}
}

// reset gives the value that takes a setting of a request back.
func (a Analyst) reset(name string) string {
	for _, l := range a.limits() {
		if l[0] == name {
			return l[1]
		}
	}
	return "DEFAULT"
}

// grants are those of the analyst's role. External data of a request are temporary
// tables; a request that names no database is in default, which holds nothing.
func (a Analyst) grants() []string {
	out := []string{"GRANT CREATE TEMPORARY TABLE ON *.*", "GRANT SHOW DATABASES ON default.*"}
	for _, db := range a.Databases {
		out = append(out, "GRANT SELECT ON "+db+".*")
	}
	return out
}

// others are the engine's tables that tell what other users do, what they asked
// for, or where the machine keeps its files: an analyst sees no row of them.
func others() []string {
	return []string{
		"asynchronous_inserts", "azure_queue_metadata_cache", "background_schedule_pool", "backups", "certificates", "disks", "distributed_ddl_queue",
		"distribution_queue", "dns_cache", "dropped_tables", "dropped_tables_parts", "errors", "fail_points", "filesystem_cache", "hypothetical_indexes",
		"iceberg_files", "iceberg_history", "kafka_consumers", "merges", "models", "moves", "mutations", "query_cache", "query_condition_cache", "remote_data_paths",
		"replicated_fetches", "replication_queue", "s3queue_metadata_cache", "scheduler", "schema_inference_cache", "server_settings", "stack_trace",
		"symbols", "user_directories", "user_processes", "warnings",
	}
}

// filters give the rows of a table that an account may see, by database and table.
// What they don't speak of is left to grants.
func filters(analysts []Analyst) map[string]map[string]string {
	owner := "has(currentRoles(), " + quoteText(ownerRole) + ")"
	system := map[string]string{
		// As tagPrefix has it.
		"processes": owner + " OR startsWith(Settings['" + tagSetting + "'], concat('foodflow-', currentRoles()[1], '-'))",
	}
	for _, table := range others() {
		system[table] = owner
	}
	out := map[string]map[string]string{"system": system}
	for _, a := range analysts {
		for _, name := range slices.Sorted(maps.Keys(a.Rows)) {
			db, table, _ := strings.Cut(name, ".")
			if out[db] == nil {
				out[db] = map[string]string{}
			}
			if out[db][table] == "" {
				out[db][table] = owner
			}
			out[db][table] += " OR currentRoles() = [" + quoteText(a.Name) + "] AND (" + a.Rows[name] + ")"
		}
	}
	return out
}

// usersXML is the engine's users.xml.
func usersXML(analysts []Analyst) string {
	var profiles, roles, granted, rows strings.Builder
	for _, a := range analysts {
		fmt.Fprintf(&profiles, "<%s><constraints>", a.Name)
		for _, l := range a.limits() {
			fmt.Fprintf(&profiles, "<%s><min>1</min><max>%s</max></%s>", l[0], l[1], l[0])
		}
		for _, name := range frozen() {
			fmt.Fprintf(&profiles, "<%s><const/></%s>", name, name)
		}
		fmt.Fprintf(&profiles, "</constraints></%s>", a.Name)
		fmt.Fprintf(&roles, "<%s><grants>", a.Name)
		for _, g := range a.grants() {
			fmt.Fprintf(&roles, "<query>%s</query>", escape(g))
		}
		fmt.Fprintf(&roles, "</grants></%s>", a.Name)
		fmt.Fprintf(&granted, "<query>GRANT %s</query>", a.Name)
	}
	all := filters(analysts)
	for _, db := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&rows, "<%s>", db)
		for _, table := range slices.Sorted(maps.Keys(all[db])) {
			fmt.Fprintf(&rows, "<%s><filter>%s</filter></%s>", table, escape(all[db][table]), table)
		}
		fmt.Fprintf(&rows, "</%s>", db)
	}
	return `<clickhouse><profiles><default/>` + profiles.String() + `</profiles>
<roles><` + ownerRole + `><grants><query>GRANT ALL ON *.* WITH GRANT OPTION</query></grants></` + ownerRole + `>` + roles.String() + `</roles>
<users><default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
<grants><query>GRANT ` + ownerRole + `</query>` + granted.String() + `</grants>
<databases>` + rows.String() + `</databases></default></users><quotas><default/></quotas></clickhouse>
`
}

// writeUsers writes the engine's configuration into dir and gives the path.
func writeUsers(dir string, analysts []Analyst) (string, error) {
	path := filepath.Join(dir, "config.xml")
	if err := os.WriteFile(filepath.Join(dir, "users.xml"), []byte(usersXML(analysts)), 0o600); err != nil {
		return "", fmt.Errorf("writing the engine's users: %w", err)
	}
	config := `<clickhouse><users_config>` + escape(filepath.Join(dir, "users.xml")) + "</users_config></clickhouse>\n"
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return "", fmt.Errorf("writing the engine's configuration: %w", err)
	}
	return path, nil
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}
