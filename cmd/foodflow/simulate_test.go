package main_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/simulate"
)

// simulator starts foodflow simulate against the installation.
func (in *installation) simulator(ctx context.Context, args ...string) *exec.Cmd {
	in.t.Helper()
	cmd := exec.CommandContext(ctx, in.bin, append([]string{
		"simulate", "--ingest-url", in.Ingest, "--mqtt-addr", in.MQTT, "--truth", filepath.Join(in.dir, "truth.jsonl"), "--anomaly-every", "1m", "--copies", "0.05",
	}, args...)...)
	cmd.Env = append(cmd.Environ(), "FOODFLOW_API_KEY="+in.APIKey)
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		in.t.Fatal(err)
	}
	return cmd
}

// verify asks foodflow simulate --verify and gives its report and exit code.
func (in *installation) verify(wait string) (*simulate.Report, int) {
	in.t.Helper()
	cmd := exec.CommandContext(in.t.Context(), in.bin, "simulate", "--verify", "--json", "--wait", wait,
		"--truth", filepath.Join(in.dir, "truth.jsonl"), "--clickhouse-url", in.Clickhouse)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		in.t.Fatal(err)
	}
	var r simulate.Report
	if err := json.Unmarshal(out, &r); err != nil {
		in.t.Fatalf("%v: %s", err, out)
	}
	return &r, cmd.ProcessState.ExitCode()
}

// TestSimulatedPlantIsAllThere: an hour of the demo plant goes through the whole
// pipeline while the simulator, the processors and ingest are killed, and copies
// are sent on purpose. ClickHouse must hold what was planted, reading by reading
// and minute by minute; and when a row is taken out, verify must fail.
func TestSimulatedPlantIsAllThere(t *testing.T) {
	in := install(t)
	in.start()
	for _, victim := range []string{"", "processors", " ingest "} {
		ctx, cancel := context.WithCancel(t.Context())
		cmd := in.simulator(ctx, "--backfill", "60m")
		time.Sleep(700 * time.Millisecond)
		if victim != "" {
			in.kill(victim)
			time.Sleep(500 * time.Millisecond)
		}
		cancel() // kills the simulator wherever it is
		_ = cmd.Wait()
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := in.simulator(ctx, "--backfill", "60m", "--recording")
	for deadline := time.Now().Add(patience); in.query("SELECT count() FROM foodflow.readings WHERE sensor_id = (SELECT sensor_id FROM foodflow.readings WHERE ts < now() - INTERVAL 10 DAY LIMIT 1)") != "22695"; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(deadline) {
			cancel()
			t.Fatalf("the recording is not in\n%s", in.tail())
		}
	}
	cancel()
	_ = cmd.Wait()
	r, code := in.verify(patience.String())
	if code != 0 || !r.OK || r.Readings.Expected < 80_000 || r.OEE.Expected < 60 || r.Others != 0 || r.Anomalies.Planted < 10 {
		t.Fatalf("exit code %d: %+v\n%s", code, r, in.tail())
	}
	t.Logf("readings %d of %d, oee minutes %d of %d, doubles %d, anomalies found %d of %d planted",
		r.Readings.Found, r.Readings.Expected, r.OEE.Found, r.OEE.Expected, r.Doubles, r.Anomalies.Found, r.Anomalies.Planted)
	in.recordingIsScored()

	// The control: one row less, one minute's count one higher. The row is chosen
	// first: a mutation asks its own question anew for each part.
	const simulated = "sensor_id NOT IN (SELECT sensor_id FROM foodflow.readings WHERE ts < now() - INTERVAL 10 DAY)" // and not the recording's
	row := in.query("SELECT concat('sensor_id = toUUID(', char(39), toString(sensor_id), char(39), ') AND toUnixTimestamp64Milli(ts) = ', toString(toUnixTimestamp64Milli(ts))) FROM foodflow.readings WHERE ts > now() - INTERVAL 30 MINUTE AND " + simulated + " ORDER BY ts, sensor_id LIMIT 1 FORMAT TSVRaw")
	part := in.query("SELECT concat('line_id = toUUID(', char(39), toString(line_id), char(39), ') AND minute = toDateTime(', toString(toUnixTimestamp(minute)), ')') FROM foodflow.oee_parts WHERE minute > now() - INTERVAL 60 MINUTE AND running_ms > 0 AND revision = 0 ORDER BY minute, line_id LIMIT 1 FORMAT TSVRaw")
	for _, damage := range []string{
		"ALTER TABLE foodflow.readings DELETE WHERE " + row + " SETTINGS mutations_sync = 2",
		"ALTER TABLE foodflow.oee_parts UPDATE good = good + 1 WHERE " + part + " AND revision = 0 SETTINGS mutations_sync = 2",
	} {
		in.query(damage)
	}
	r, code = in.verify("0s")
	if code == 0 || r.OK || r.Readings.Missing != 1 || r.OEE.Wrong == 0 {
		t.Fatalf("the damage is not found: exit code %d, %+v", code, r)
	}
	in.stop()
}

// recordingIsScored demands an anomaly in one of the windows that NAB's people
// labelled, placed by their distance from the recording's end.
func (in *installation) recordingIsScored() {
	in.t.Helper()
	const end = "2014-02-19 15:25:00"
	windows := [][2]string{
		{"2013-12-10 06:25:00", "2013-12-12 05:35:00"},
		{"2013-12-15 17:50:00", "2013-12-17 17:00:00"},
		{"2014-01-27 14:20:00", "2014-01-29 13:30:00"},
		{"2014-02-07 14:55:00", "2014-02-09 14:05:00"},
	}
	var cond []string
	for _, w := range windows {
		cond = append(cond, fmt.Sprintf("ts BETWEEN last - (toDateTime('%[1]s','UTC') - toDateTime('%[2]s','UTC')) AND last - (toDateTime('%[1]s','UTC') - toDateTime('%[3]s','UTC'))", end, w[0], w[1]))
	}
	const sensor = "sensor_id = (SELECT sensor_id FROM foodflow.readings WHERE ts < now() - INTERVAL 10 DAY LIMIT 1)"
	got := in.query("WITH (SELECT max(ts) FROM foodflow.readings WHERE " + sensor + ") AS last SELECT countIf(" + strings.Join(cond, " OR ") + "), count() FROM foodflow.anomalies WHERE " + sensor)
	var inside, all int
	if _, err := fmt.Sscan(got, &inside, &all); err != nil || inside == 0 {
		in.t.Errorf("no true anomaly of the recording was found: %q", got)
	}
	in.t.Logf("machine temperature: %d anomalies, %d of them in labelled windows", all, inside)
}
