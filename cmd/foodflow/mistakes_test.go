package main_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestMistakesAreToldBriefly: a mistake on the command line is told in a few
// lines, which say what to do, and not under a page of help.
func TestMistakesAreToldBriefly(t *testing.T) {
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"tenants create acme":     `Run "foodflow tenants create --help"`,
		"tenants crate":           `did you mean "create"?`,
		"tenants list":            "(--postgres-url), a variable (FOODFLOW_POSTGRES_URL)",
		"deadletters list":        "kafka.brokers: must not be empty\nregistry.url:",
		"replay /none --sensor x": "no such file",
		"--bogus":                 "unknown flag --bogus",
		"tenants list --postgres-url postgres://nobody@127.0.0.1:1/x": "foodflow: error: ",
	} {
		out, err := exec.CommandContext(t.Context(), bin, strings.Fields(line)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), want) || strings.Count(string(out), "\n") > 8 || strings.Contains(string(out), "level=ERROR") {
			t.Errorf("foodflow %s: %v, %q, want %q", line, err, out, want)
		}
	}
}
