package main_test

import (
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestAnalystsOfUp starts everything with a password and an analyst, both from
// files: the pipeline works on, the analyst reads its database alone, nobody gets
// in without a password, and neither secret is shown.
func TestAnalystsOfUp(t *testing.T) {
	in := install(t)
	const ownerKey, annKey = "0wner-canary", "4nn-canary"
	write := func(name, text string) string {
		path := filepath.Join(in.dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	accounts := write("analysts.json", `[{"name": "ann", "password_file": "`+write("ann", annKey+"\n")+`", "databases": ["foodflow"], "rows": {"foodflow.readings": "seq < 20"}}]`)
	in.env = []string{"FOODFLOW_CLICKHOUSE_PASSWORD_FILE=" + write("owner", ownerKey+"\n"), "FOODFLOW_CLICKHOUSE_ANALYSTS_FILE=" + accounts}
	in.start()
	l := in.load(1)
	for l.acked.Load() < 200 && !t.Failed() {
		time.Sleep(10 * time.Millisecond)
	}
	in.settled(l.end()) // asked with what the ready file says
	at := strings.Replace(in.Clickhouse, "default:"+ownerKey+"@", "", 1)
	ask := func(user, key, statement string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, at, strings.NewReader(statement))
		if err != nil {
			t.Fatal(err)
		}
		if user != "" {
			req.SetBasicAuth(user, key)
		}
		return answer(t, req)
	}
	for _, tc := range []struct {
		user, key, statement string
		status               int
		want                 string
	}{
		{"", "", "SELECT 1", 403, "Code: 516."},
		{"default", "", "SELECT 1", 403, "Code: 516."},
		{"ann", ownerKey, "SELECT 1", 403, "Code: 516."},
		{"ann", annKey, "SELECT count(), max(seq) FROM foodflow.readings", 200, "20\t19"},
		{"ann", annKey, "TRUNCATE TABLE foodflow.readings", 403, "Code: 497."},
		{"default", ownerKey, "SELECT count() >= 200 FROM foodflow.readings", 200, "1"},
	} {
		if status, out := ask(tc.user, tc.key, tc.statement); status != tc.status || !strings.HasPrefix(out, tc.want) {
			t.Errorf("%s: %s: %d %s, want %d %s", tc.user, tc.statement, status, out, tc.status, tc.want)
		}
	}
	cmd := exec.CommandContext(t.Context(), in.bin, "config", "print", "up")
	cmd.Env = append(os.Environ(), in.env...)
	shown, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(shown), "clickhouse.analysts") {
		t.Errorf("config print: %v\n%s", err, shown)
	}
	in.stop()
	for what, text := range map[string]string{"config print": string(shown), "the log": in.log.String()} {
		if strings.Contains(text, "canary") {
			t.Errorf("%s shows a secret", what)
		}
	}
}

// TestUpRefusesWrongAnalysts: before anything starts.
func TestUpRefusesWrongAnalysts(t *testing.T) {
	bin, err := program()
	if err != nil {
		t.Fatal(err)
	}
	const one = `[{"name": "ann", "password": "canary", "databases": ["bi"]}]`
	for want, env := range map[string][]string{
		"clickhouse.password: must be set":          {"FOODFLOW_CLICKHOUSE_ANALYSTS=" + one},
		"are accounts of the embedded engine":       {"FOODFLOW_CLICKHOUSE_ANALYSTS=" + one, "FOODFLOW_CLICKHOUSE_PASSWORD=x", "FOODFLOW_CLICKHOUSE_URL=http://127.0.0.1:1"},
		"clickhouse.analysts: must be a JSON list":  {"FOODFLOW_CLICKHOUSE_ANALYSTS=ann:canary", "FOODFLOW_CLICKHOUSE_PASSWORD=x"},
		"clickhouse.analysts: ann has no databases": {"FOODFLOW_CLICKHOUSE_ANALYSTS=" + strings.Replace(one, `"bi"`, "", 1), "FOODFLOW_CLICKHOUSE_PASSWORD=x"},
	} {
		cmd := exec.CommandContext(t.Context(), bin, "up", "--data-dir", t.TempDir(), "--clickhouse-addr", "127.0.0.1:0")
		cmd.Env = append(os.Environ(), env...)
		out, err := cmd.CombinedOutput()
		if err == nil || cmd.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), want) || strings.Contains(string(out), "canary") {
			t.Errorf("want %q: %v %s", want, err, out)
		}
	}
}

// answer gives the status and body of a request's answer.
func answer(t *testing.T, req *http.Request) (int, string) {
	t.Helper()
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	out, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(out)
}
