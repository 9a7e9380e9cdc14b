package main_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// promised is what comes of a command of the README, or of those that up prints.
type promised struct {
	begin string // of the command
	code  int
	says  *regexp.Regexp
	// later: it reads what comes a moment after it was sent.
	later bool
}

// promises has every command.
var promises = []promised{
	{`curl -s $INGEST/v1/readings`, 0, regexp.MustCompile(`^{"accepted":1,`), false},
	{`mosquitto_pub `, 0, regexp.MustCompile(`^$`), false},
	{`curl -s $(jq -r .clickhouse $R)`, 0, regexp.MustCompile(`(?s)Row 3:.*sensor_id:.*_offset:`), true},
	{`curl -s $API/api/v1/plant-ops/sensors/hand-thermometer/readings/latest`, 0, regexp.MustCompile(`"value":24.5\b`), true},
	{`curl -s $API/api/v1/plant-ops/anomalies`, 0, regexp.MustCompile(`^{.*"items":\[`), false},
	{`bin/foodflow simulate --verify`, 0, regexp.MustCompile(`^all as planted: `), false},
	{`bin/foodflow doctor`, 1, regexp.MustCompile(`warning kafka.reachable: 1 brokers`), false},
	{`bin/foodflow deadletters list`, 0, regexp.MustCompile(`^ID +TIME .*DETAIL`), false},
	{`bin/foodflow migrate status`, 0, regexp.MustCompile(`^2 schemas, 0 behind`), false},
	{`curl http://`, 0, regexp.MustCompile(`^{("accepted":1,|.*"value":24.5\b)`), true},
}

// terminal is a shell beside a running plant.
type terminal struct {
	in    *installation
	setup []string // what the lines before have set
	ran   int
}

// TestReadmeCommands pastes the README's commands, top to bottom, into a shell
// beside a running plant, and then those that up itself prints. Each must end
// and say what is promised of it, and no command may have no promise.
func TestReadmeCommands(t *testing.T) {
	for _, tool := range []string{"bash", "curl", "jq", "mosquitto_pub"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("REQUIRE_SERVICES") != "" {
				t.Fatal(err)
			}
			t.Skip("needs ", tool)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	in := install(t)
	in.more = []string{"--no-simulator=false"}
	in.asInTheReadme()
	in.start()
	shell := &terminal{in: in}
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(readme, -1) {
		shell.paste(string(block[1]))
	}
	if shell.ran < 9 {
		t.Errorf("%d commands of the README were run", shell.ran)
	}
	_, printed, _ := strings.Cut(in.whole(), "in another terminal:\n")
	printed, _, found := strings.Cut(printed, "Ctrl-C drains")
	if !found {
		t.Fatal("up says nothing of what to try\n", in.tail())
	}
	fresh := &terminal{in: in}
	fresh.paste(printed)
	if fresh.ran != 3 {
		t.Errorf("%d commands that up prints were run:\n%s", fresh.ran, printed)
	}
	in.startsAgain()
}

// asInTheReadme makes the folder one as the README's commands are run in.
func (in *installation) asInTheReadme() {
	in.t.Helper()
	for _, err := range []error{
		os.Mkdir(filepath.Join(in.dir, "bin"), 0o711), os.Symlink(in.bin, filepath.Join(in.dir, "bin", "foodflow")),
		os.Mkdir(filepath.Join(in.dir, "data"), 0o711), os.Symlink("../ready.json", filepath.Join(in.dir, "data", "ready.json")),
	} {
		if err != nil {
			in.t.Fatal(err)
		}
	}
}

// whole is all that up wrote.
func (in *installation) whole() string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.log.String()
}

// startsAgain: the shell that was told of the settings may start up once more,
// which uses its own engines again and writes the settings anew.
func (in *installation) startsAgain() {
	in.t.Helper()
	file := filepath.Join(in.dir, "data", "foodflow.yaml")
	in.stop()
	settings, err := os.ReadFile(file)
	if err != nil {
		in.t.Fatal(err)
	}
	settings = bytes.ReplaceAll(settings, []byte(in.Clickhouse), []byte("http://127.0.0.1:1"))
	if err := os.WriteFile(file, settings, 0o600); err != nil {
		in.t.Fatal(err)
	}
	in.env = []string{"FOODFLOW_CONFIG=" + file}
	in.start()
	if settings, err = os.ReadFile(file); err != nil {
		in.t.Fatal(err)
	}
	for _, address := range []string{in.Clickhouse, in.Kafka, in.Registry, in.Postgres, in.Ingest, in.APIKey} {
		if !bytes.Contains(settings, []byte(address)) {
			in.t.Errorf("the settings of the second start lack %s", address)
		}
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		in.t.Errorf("the settings are readable by others: %v, %v", info.Mode(), err)
	}
	if in.child("kafka-engine") == 0 || in.child("clickhouse-engine") == 0 {
		in.t.Error("the second start uses what the first one ran as someone else's")
	}
	in.stop()
}

// paste runs the commands of a text; a line that sets something holds for those
// behind it.
func (s *terminal) paste(text string) {
	s.in.t.Helper()
	for line := range strings.Lines(strings.ReplaceAll(text, "\\\n", " ")) {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "make "):
		case regexp.MustCompile(`^(export )?[A-Z_]+=`).MatchString(line):
			s.setup = append(s.setup, line)
		default:
			s.run(line)
			s.ran++
		}
	}
}

func (s *terminal) run(line string) {
	t := s.in.t
	t.Helper()
	var want *promised
	for i := range promises {
		if p := &promises[i]; strings.HasPrefix(strings.Replace(line, s.in.bin, "bin/foodflow", 1), p.begin) {
			want = p
			break
		}
	}
	if want == nil {
		t.Errorf("nothing is promised of\n%s", line)
		return
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(200 * time.Millisecond) {
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", strings.Join(append(s.setup, line), "\n"))
		cmd.Dir = s.in.dir
		// How long to wait for what is behind is the machine's affair.
		cmd.Env = append(os.Environ(), "FOODFLOW_WAIT=5m", "FOODFLOW_TIMEOUT=2m")
		var out, said bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &said
		err := cmd.Run()
		if ended := new(exec.ExitError); err != nil && !errors.As(err, &ended) {
			t.Fatal(err)
		}
		code := cmd.ProcessState.ExitCode()
		if code == want.code && want.says.MatchString(out.String()) || fullDisk(line, out.String()) {
			return
		}
		if !want.later || time.Now().After(deadline) {
			t.Errorf("%s\nends with %d and says\n%s%s", line, code, out.String(), said.String())
			return
		}
	}
}

// fullDisk says whether all that doctor has to say beyond warnings is that the
// disk of the machine that tests is nearly full.
func fullDisk(line, out string) bool {
	found := regexp.MustCompile(`(?m)^error +(\S+):`).FindAllStringSubmatch(out, -1)
	for _, e := range found {
		if !strings.HasSuffix(e[1], ".disk") {
			return false
		}
	}
	return len(found) > 0 && strings.Contains(line, "doctor")
}
