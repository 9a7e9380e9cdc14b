package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deadletters runs the command with a point armed and gives what it prints; killed
// says that it killed itself there.
func (in *installation) deadletters(point string, args ...string) (out string, code int, killed bool) {
	in.t.Helper()
	cmd := exec.CommandContext(in.t.Context(), in.bin, append(append([]string{"deadletters"}, args...), "--kafka-brokers", in.Kafka, "--registry-url", in.Registry)...)
	cmd.Env = append(os.Environ(), "FOODFLOW_FAILPOINT="+point)
	var said, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &log
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		in.t.Fatal(err)
	}
	status, _ := cmd.ProcessState.Sys().(syscall.WaitStatus)
	in.t.Logf("deadletters %s %s: %d %s%s", strings.Join(args, " "), point, cmd.ProcessState.ExitCode(), said.String(), log.String())
	return said.String(), cmd.ProcessState.ExitCode(), status.Signal() == syscall.SIGKILL
}

// letterLease is short, since replays that were killed are waited for, and long
// enough for Kafka's answer in half of it.
const letterLease = "6s"

// eventually is until with more patience: a killed replay is waited for, and one
// that was too slow is tried again.
func (in *installation) eventually(what string, ok func() bool) {
	in.t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); !ok(); time.Sleep(time.Second) {
		if time.Now().After(deadline) {
			in.t.Fatal("never: ", what)
		}
	}
}

// tally is what a replay prints with --json.
type tally struct {
	Replayed, Settled, Kept, Held, Unsure int
	Before                                int `json:"replayed_before"`
}

// settle replays until no letter is in doubt and gives the last tally.
func (in *installation) settle(args ...string) (last tally, sum int) {
	in.t.Helper()
	in.eventually("every letter is settled", func() bool {
		out, code, _ := in.deadletters("", append([]string{"replay", "--json", "--lease", letterLease}, args...)...)
		last = tally{}
		if err := json.Unmarshal([]byte(out), &last); err != nil {
			in.t.Fatal(err)
		}
		sum += last.Replayed + last.Settled
		if last.Held == 0 && code != 0 {
			in.t.Fatalf("ends with %d", code)
		}
		return last.Held == 0
	})
	return last, sum
}

// TestLettersReplayOnce: messages of MQTT 3.1.1 for a sensor that nobody made yet
// become letters. Replays of these are killed (-9) before and behind each of their
// steps; those after them bring each message once. Twenty minutes of readings
// later, far past what the processors remember, the operator replays all again,
// and nothing is there twice. The control asks for it by --again.
func TestLettersReplayOnce(t *testing.T) {
	const n = 5
	in := install(t)
	in.start()
	admin := in.login(in.Email, in.Password)
	began := time.Now().Add(-40 * time.Minute).UnixMilli()
	in.until("MQTT takes the messages", func() bool {
		c := in.mqttClient(0)
		if c == nil {
			return false
		}
		defer c.Disconnect(0)
		for i := range n {
			token := c.Publish("ff/v1/demo/late-sensor", 1, false, fmt.Sprintf(`{"ts":%d,"value":%d}`, began+int64(i)*1000, 10+i))
			if !token.WaitTimeout(time.Minute) || token.Error() != nil {
				t.Fatal("no PUBACK: ", token.Error())
			}
		}
		return true
	})
	if got := in.listed(); got["waiting"] != n || len(got) != 1 {
		t.Fatalf("listed: %v", got)
	}
	if _, sum := in.settle("--all"); sum != 0 {
		t.Fatalf("%d replayed though nobody knows the sensor", sum)
	}
	lines, _ := admin.do("GET", in.API+"/api/v1/plant-ops/lines", nil, http.StatusOK)["items"].([]any)
	line, _ := lines[0].(map[string]any)
	made := admin.do("POST", in.API+"/api/v1/plant-ops/sensors", map[string]any{"key": "late-sensor", "name": "x", "kind": "temperature", "unit": "degC", "line_id": line["id"]}, http.StatusCreated)
	in.until("the sensor is known", func() bool {
		return (&caller{in: in, key: in.APIKey}).sends("late-sensor", time.Now().Add(-30*time.Minute), 1000) == http.StatusAccepted
	})
	for _, point := range []string{"letter.before_claim", "letter.after_claim", "letter.after_publish", "letter.after_mark"} {
		in.eventually("a replay is killed at "+point, func() bool {
			out, code, killed := in.deadletters(point+":kill", "replay", "--all", "--lease", letterLease)
			if killed {
				return true
			}
			// While another's claim holds there is nothing to be killed at; a slow
			// machine ends the replay before.
			if code == 0 {
				t.Fatalf("not killed at %s: %s", point, out)
			}
			return false
		})
	}
	if last, _ := in.settle("--all", "--reason", "ingest"); last.Before+last.Replayed+last.Settled != n {
		t.Errorf("in the end: %+v", last)
	}
	rows := fmt.Sprintf("SELECT count(), uniqExact(value) FROM foodflow.readings WHERE sensor_id = '%v' AND value < 20", made["id"])
	once := fmt.Sprintf("%d\t%[1]d", n)
	in.until("each is there once", func() bool { return in.query(rows) == once })
	in.goesOn("late-sensor", 1200)
	in.until("the sensor went on", func() bool {
		return in.query(fmt.Sprintf("SELECT count() FROM foodflow.readings WHERE sensor_id = '%v' AND value BETWEEN 20 AND 30", made["id"])) == "1200"
	})
	if last, sum := in.settle("--all"); last.Before != n || sum != 0 {
		t.Errorf("the operator replays again: %+v", last)
	}
	if got := in.query(rows); got != once {
		t.Errorf("rows and different values: %s", got)
	}
	if got := in.listed(); len(got) != 0 {
		t.Errorf("listed though replayed: %v", got)
	}
	if got := in.listed("--with-replayed"); got["replayed"] != n || len(got) != 1 {
		t.Errorf("listed with what was replayed: %v", got)
	}
	in.settle("--all", "--again")
	in.until("the control is there twice", func() bool { return in.query(rows) == fmt.Sprintf("%d\t%d", 2*n, n) })
	in.stop()
}

// listed counts the letters that are listed, by state.
func (in *installation) listed(args ...string) map[string]int {
	in.t.Helper()
	out, code, _ := in.deadletters("", append([]string{"list", "--json"}, args...)...)
	if code != 0 {
		in.t.Fatalf("list ends with %d", code)
	}
	states := map[string]int{}
	for line := range strings.Lines(out) {
		var l struct {
			State   string
			StateAt *time.Time
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			in.t.Fatal(err)
		}
		if (l.StateAt == nil) != (l.State == "waiting") {
			in.t.Errorf("%s since %v", l.State, l.StateAt)
		}
		states[l.State]++
	}
	return states
}

// goesOn sends n readings of a sensor, a second each, of the time up to now.
func (in *installation) goesOn(sensor string, n int) {
	in.t.Helper()
	var items []any
	first := time.Now().Add(-time.Duration(n) * time.Second).UnixMilli()
	for i := range n {
		items = append(items, map[string]any{"sensor": sensor, "ts": first + int64(i)*1000, "value": 20 + i%7, "seq": i})
	}
	(&caller{in: in, key: in.APIKey}).do("POST", in.Ingest+"/v1/readings", map[string]any{"readings": items}, http.StatusAccepted)
}
