package mqttin_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/kafkaout"
	"github.com/foodflow/foodflow/ingest/mqttin"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/broker/embedded"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/testkit/leak"
	"github.com/foodflow/foodflow/schemas"
)

// roleVariable makes the test program a broker or a door, so that each can be
// killed by itself.
const roleVariable = "FOODFLOW_TEST_ROLE"

func TestMain(m *testing.M) {
	var err error
	switch role := os.Getenv(roleVariable); role {
	case "":
		leak.Main(m)
		return
	case "broker":
		err = beBroker()
	case "bounded", "unbounded":
		err = beTarget(role == "bounded")
	default:
		err = beDoor(role == "early")
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// beBroker serves the embedded broker until it is killed. It comes back where it
// was, on a port that no outgoing connection gets.
func beBroker() error {
	cfg := embedded.Config{Dir: os.Getenv("FOODFLOW_TEST_DIR"), Addr: "127.0.0.1:0"}
	return embedded.Serve(context.Background(), cfg, slog.New(slog.DiscardHandler), func(addr string) { fmt.Fprintln(os.Stdout, addr) })
}

// beDoor serves the real door until it is killed.
func beDoor(unprotected bool) error {
	kafka := broker.DefaultConfig()
	kafka.Brokers = []string{os.Getenv("FOODFLOW_TEST_ADDR")}
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		return err
	}
	store := directory.NewStore()
	if err := enter(store, "acme", os.Getenv("FOODFLOW_TEST_KEY")); err != nil {
		return err
	}
	out, err := kafkaout.New(kafka, kafkaout.DefaultConfig())
	if err != nil {
		return err
	}
	var output ingest.Output = out
	if unprotected {
		output = early{out}
	}
	svc, err := ingest.NewService(store, codec, output, ingest.DefaultLimits(), nil)
	if err != nil {
		return err
	}
	s, err := mqttin.New(mqttin.DefaultConfig(), svc, kafkaout.DeadLetters{Out: out, Encoder: codec}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return err
	}
	if err := s.Start(context.Background()); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, s.Addr())
	_, err = io.Copy(io.Discard, os.Stdin) // for ever
	return err
}

// enter gives a directory a tenant with one sensor, the same in every process.
func enter(store *directory.Store, tenant, secret string) error {
	key, err := directory.ParseKey(secret)
	if err != nil {
		return err
	}
	id := plant.NameID(plant.ID{}, tenant)
	return directorytest.Enter(store,
		directory.Tenant{ID: id, Key: tenant},
		directory.Sensor{ID: plant.NameID(id, "temp"), Tenant: id, Line: plant.NameID(id, "line"), Key: "temp"},
		directory.APIKey{ID: plant.NameID(id, "key"), Tenant: id, Public: key.Public, Hash: key.Hash(), Scopes: []string{directory.ScopeIngest}},
	)
}

// victim is a process that is killed and started anew.
type victim struct {
	t    *testing.T
	env  []string
	cmd  *exec.Cmd
	in   io.Closer
	addr string
	mu   sync.Mutex // guards addr
}

func (v *victim) start() {
	v.t.Helper()
	self, err := os.Executable()
	if err != nil {
		v.t.Fatal(err)
	}
	v.cmd = exec.CommandContext(v.t.Context(), self)
	v.cmd.Env, v.cmd.Stderr = append(os.Environ(), v.env...), os.Stderr
	if v.in, err = v.cmd.StdinPipe(); err != nil {
		v.t.Fatal(err)
	}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		v.t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		v.t.Fatal(err)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.addr = strings.TrimSpace(line)
}

func (v *victim) at() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.addr
}

func (v *victim) kill() {
	_ = v.cmd.Process.Kill()
	_ = v.cmd.Wait()
	v.in.Close()
}

// gateway is a client that keeps each message until its PUBACK and sends it
// again until then, several on their way at once; acked is its journal.
type gateway struct {
	id     int
	secret string
	topic  string
	acked  map[int64]bool
	resent int
	n      atomic.Int64 // of those acknowledged, for who looks on
}

// run publishes until stop, with a connection after the other.
func (g *gateway) run(door *victim, stop <-chan struct{}) {
	g.acked = map[int64]bool{}
	next, open := int64(g.id)<<32, []int64{}
	for {
		select {
		case <-stop:
			return
		default:
		}
		c, err := net.DialTimeout("tcp", door.at(), time.Second)
		if err != nil {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		g.resent += len(open)
		g.session(c, &next, &open, stop)
		c.Close()
	}
}

// session goes on until the connection ends.
func (g *gateway) session(c net.Conn, next *int64, open *[]int64, stop <-chan struct{}) {
	c.SetDeadline(time.Now().Add(patience))
	body := []byte{0, 4, 'M', 'Q', 'T', 'T', 4, 0xC0, 0, 60}
	for _, s := range []string{"gateway-" + strconv.Itoa(g.id), "key", g.secret} {
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(s))), s...)
	}
	c.Write(append(binary.AppendUvarint([]byte{0x10}, uint64(len(body))), body...))
	r := bufio.NewReader(c)
	ack := make([]byte, 4)
	if _, err := io.ReadFull(r, ack); err != nil || ack[3] != 0 {
		return
	}
	send := func(i int, dup byte) error {
		seq := (*open)[i]
		text := fmt.Sprintf(`{"ts":%d,"value":1,"seq":%d}`, time.Now().UnixMilli(), seq)
		body := append(binary.BigEndian.AppendUint16(nil, uint16(len(g.topic))), g.topic...)
		body = append(body, byte(seq>>8), byte(seq)|1)
		_, err := c.Write(append(binary.AppendUvarint([]byte{0x32 | dup}, uint64(len(body)+len(text))), append(body, text...)...))
		return err
	}
	for i := range *open {
		if send(i, 8) != nil {
			return
		}
	}
	for {
		select {
		case <-stop:
			return
		default:
		}
		for len(*open) < 20 {
			*open = append(*open, *next)
			*next += 2
			if send(len(*open)-1, 0) != nil {
				return
			}
		}
		if _, err := io.ReadFull(r, ack); err != nil {
			return
		}
		seq := (*open)[0] // PUBACKs come in order
		if ack[0] != 0x40 || ack[2] != byte(seq>>8) || ack[3] != byte(seq)|1 {
			panic(fmt.Sprintf("%x is not the PUBACK of %d", ack, seq))
		}
		g.acked[seq] = true
		g.n.Add(1)
		*open = (*open)[1:]
	}
}

// kills runs gateways against a door and its broker while both are killed in
// turn, and holds the gateways' journals against what Kafka has.
func kills(t *testing.T, role string, n int) (acked, missing, resent int) {
	t.Helper()
	secret := directory.NewKey().Reveal()
	kafka := &victim{t: t, env: []string{roleVariable + "=broker", "FOODFLOW_TEST_DIR=" + t.TempDir()}}
	kafka.start()
	defer func() { kafka.kill() }()
	cfg := broker.DefaultConfig()
	cfg.Brokers = []string{kafka.at()}
	cl, err := broker.Client(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := broker.EnsureTopics(t.Context(), cl, 4); err != nil {
		t.Fatal(err)
	}
	door := &victim{t: t, env: []string{roleVariable + "=" + role, "FOODFLOW_TEST_ADDR=" + kafka.at(), "FOODFLOW_TEST_KEY=" + secret}}
	door.start()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	gateways := make([]*gateway, 3)
	for i := range gateways {
		gateways[i] = &gateway{id: i + 1, secret: secret, topic: "ff/v1/acme/temp"}
		wg.Go(func() { gateways[i].run(door, stop) })
	}
	pause := func() { time.Sleep(100*time.Millisecond + rand.N(300*time.Millisecond)) }
	// traffic waits until messages are acknowledged, however slow the machine.
	traffic := func() {
		t.Helper()
		total := func() (n int64) {
			for _, g := range gateways {
				n += g.n.Load()
			}
			return n
		}
		before := total()
		eventually(t, "messages are acknowledged", func() bool { return total() > before })
	}
	for range n {
		traffic()
		pause()
		kafka.kill()
		if role == "early" {
			traffic() // what is acknowledged now is lost with the door
		}
		pause()
		door.kill()
		door.start()
		pause()
		kafka.start()
		pause()
		door.kill()
		door.start()
	}
	traffic()
	close(stop)
	wg.Wait()
	door.kill()
	have := storedSeqs(t, cfg)
	for _, g := range gateways {
		resent += g.resent
		for seq := range g.acked {
			acked++
			if have[seq] == 0 {
				missing++
			}
		}
	}
	return acked, missing, resent
}

// storedSeqs gives how often each sequence number is on Kafka.
func storedSeqs(t *testing.T, cfg broker.Config) map[int64]int {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	out := map[int64]int{}
	err = broker.ReadTopic(t.Context(), cfg, broker.TopicReadings, func(_ int32, _ int64, v []byte) error {
		var r plant.Reading
		err := codec.DecodeReading(v, &r)
		out[r.Seq]++
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestPubackSurvivesKills (P2): broker and listener are killed (-9) in turn
// under QoS 1; every message with a PUBACK is on Kafka. The control acknowledges
// before Kafka does, and loses.
func TestPubackSurvivesKills(t *testing.T) {
	acked, missing, resent := kills(t, "door", 3)
	t.Logf("PUBACK after Kafka's ack: acked %d, missing %d, sent again %d", acked, missing, resent)
	if acked == 0 || missing > 0 {
		t.Errorf("acked %d, missing %d", acked, missing)
	}
	acked, missing, resent = kills(t, "early", 2)
	t.Logf("control, before it:       acked %d, missing %d, sent again %d", acked, missing, resent)
	if missing == 0 {
		t.Error("PUBACKs before the ack lose nothing: the test shows nothing")
	}
}
