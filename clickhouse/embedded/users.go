package embedded

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ownerRole is the engine's role that may do anything.
const ownerRole = "owner"

// The engine knows one user. What tells accounts apart are roles and profiles,
// which it takes from a users.xml: an analyst's connections set its role, which
// takes all other grants away, and its profile, whose constraints hold its limits.
// Passwords aren't in there: the HTTP handler checks them.

// limits are the settings of an analyst, in the order in which they are set.
func (a Analyst) limits() [][2]string {
	return [][2]string{
		{"max_memory_usage", strconv.FormatInt(a.MaxMemory, 10)},
		{"max_execution_time", strconv.FormatFloat(a.MaxTime.Seconds(), 'f', -1, 64)},
		{"max_result_bytes", strconv.FormatInt(a.MaxResultBytes, 10)},
	}
}

// setup are the statements that make a new connection the analyst's.
func (a Analyst) setup() []string {
	var limits []string
	for _, l := range a.limits() {
		limits = append(limits, l[0]+" = "+l[1])
	}
	return []string{
		"SET ROLE " + quoteName(a.Name),
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

// writeUsers writes the engine's configuration into dir and gives the path.
func writeUsers(dir string, analysts []Analyst) (string, error) {
	var profiles, roles, grants strings.Builder
	for _, a := range analysts {
		fmt.Fprintf(&profiles, "<%s><constraints>", a.Name)
		for _, l := range a.limits() {
			fmt.Fprintf(&profiles, "<%s><min>1</min><max>%s</max></%s>", l[0], l[1], l[0])
		}
		fmt.Fprintf(&profiles, "</constraints></%s>", a.Name)
		databases := a.Databases
		if len(databases) == 0 {
			databases = []string{"*"}
		}
		fmt.Fprintf(&roles, "<%s><grants>", a.Name)
		// External data of a request are temporary tables.
		for _, g := range append([]string{"GRANT CREATE TEMPORARY TABLE ON *.*"}, selects(databases)...) {
			fmt.Fprintf(&roles, "<query>%s</query>", escape(g))
		}
		fmt.Fprintf(&roles, "</grants></%s>", a.Name)
		fmt.Fprintf(&grants, "<query>GRANT %s</query>", a.Name)
	}
	users := `<clickhouse><profiles><default/>` + profiles.String() + `</profiles>
<roles><` + ownerRole + `><grants><query>GRANT ALL ON *.* WITH GRANT OPTION</query></grants></` + ownerRole + `>` + roles.String() + `</roles>
<users><default><password></password><networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>
<grants><query>GRANT ` + ownerRole + `</query>` + grants.String() + `</grants></default></users><quotas><default/></quotas></clickhouse>
`
	path := filepath.Join(dir, "config.xml")
	if err := os.WriteFile(filepath.Join(dir, "users.xml"), []byte(users), 0o600); err != nil {
		return "", fmt.Errorf("writing the engine's users: %w", err)
	}
	config := `<clickhouse><users_config>` + escape(filepath.Join(dir, "users.xml")) + "</users_config></clickhouse>\n"
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return "", fmt.Errorf("writing the engine's configuration: %w", err)
	}
	return path, nil
}

func selects(databases []string) []string {
	var out []string
	for _, db := range databases {
		out = append(out, "GRANT SELECT ON "+db+".*")
	}
	return out
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a strings.Builder takes everything
	return b.String()
}
