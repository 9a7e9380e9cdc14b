package mqttin_test

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/mqttin"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
)

func chapter(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// demoPlant gives a door the demo plant, and a key of it.
func (d *door) demoPlant() string {
	d.t.Helper()
	k, p := directory.NewKey(), demo.Describe()
	d.apply(p.Tenant, directory.APIKey{ID: plant.NewID(), Tenant: p.Tenant.ID, Public: k.Public, Hash: k.Hash(), Scopes: []string{directory.ScopeIngest}})
	for _, l := range p.Lines {
		d.apply(l.Line)
		for _, s := range l.Sensors {
			d.apply(s.Sensor)
		}
	}
	return k.Reveal()
}

// TestChapterExamples runs every MQTT example of the chapter for producers, one
// command after the other, and holds what it says of each.
func TestChapterExamples(t *testing.T) {
	for _, tool := range []string{"bash", "mosquitto_pub"} {
		if _, err := exec.LookPath(tool); err != nil {
			if os.Getenv("REQUIRE_SERVICES") != "" {
				t.Fatal(err)
			}
			t.Skip("needs ", tool)
		}
	}
	d := newDoor(t, setting{})
	key := d.demoPlant()
	host, port, err := net.SplitHostPort(d.Addr())
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile(`(?s)(mosquitto_pub .*?)\n# (stores|says) ([^\n]*)\n`)
	examples := 0
	for _, b := range regexp.MustCompile("(?s)```sh mqtt\n(.*?)```").FindAllStringSubmatch(chapter(t), -1) {
		found := example.FindAllStringSubmatch(b[1], -1)
		if len(found) != strings.Count(b[1], "mosquitto_pub ") {
			t.Errorf("not every example says what comes of it:\n%s", b[1])
		}
		for _, x := range found {
			examples++
			before := d.stored()
			cmd := exec.CommandContext(t.Context(), "bash", "-c", x[1])
			cmd.Env = append(os.Environ(), "HOST="+host, "PORT="+port, "KEY="+key)
			out, err := cmd.CombinedOutput()
			if x[2] == "says" {
				if !strings.Contains(string(out), x[3]) || d.stored() != before {
					t.Errorf("%s\nsays %q and not %q, or stores something", x[1], out, x[3])
				}
				continue
			}
			if err != nil || len(out) > 0 {
				t.Errorf("%s: %v: %s", x[1], err, out)
			}
			var n int
			var what string
			if _, err := fmt.Sscanf(x[3], "%d %s", &n, &what); err != nil {
				t.Fatal(err)
			}
			want := before
			switch i := slices.Index([]string{"reading", "event", "dead"}, strings.TrimSuffix(what, "s")); i {
			case 0, 1, 2:
				want[i] += n
			default:
				t.Errorf("the chapter stores %q", x[3])
			}
			eventually(t, x[3]+" by "+x[1], func() bool { return d.stored() == want })
		}
	}
	if examples < 8 {
		t.Errorf("%d examples were found", examples)
	}
}

// stored counts readings, events and dead letters.
func (d *door) stored() [3]int {
	return [3]int{len(d.readings()), len(d.events()), len(d.letters())}
}

// TestChapterLimits holds the limits that the chapter names.
func TestChapterLimits(t *testing.T) {
	c, text := mqttin.DefaultConfig(), chapter(t)
	for _, row := range []string{
		fmt.Sprintf("| a message, with its topic | %d KiB |", c.MaxPacket>>10),
		fmt.Sprintf("| messages without a PUBACK, a client | %d;", c.InFlight),
		fmt.Sprintf("| topic aliases | %d |", c.Aliases),
		fmt.Sprintf("| clients a process | %d, of one tenant %.0f |", c.Clients, float64(c.Clients)*c.TenantShare),
		fmt.Sprintf("| from opening the socket to CONNECT | %.0f s |", c.LoginTime.Seconds()),
		fmt.Sprintf("| a message's time to arrive | %.0f s |", c.PacketTime.Seconds()),
		fmt.Sprintf("MQTT 5: %.0f minutes at most |", c.KeepAlive.Minutes()),
	} {
		if !strings.Contains(text, row) {
			t.Errorf("the chapter does not say %q", row)
		}
	}
	if c.Session != time.Hour || c.Recheck >= time.Second || ingest.DefaultLimits().Items < 1000 {
		t.Error("the chapter says an hour for sessions, a second for keys")
	}
}
