package mqttin_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/mqttin"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/testkit"
	"github.com/foodflow/foodflow/schemas"
)

// nowhere takes everything and keeps nothing.
type nowhere struct{}

func (nowhere) Publish(context.Context, string, *ingest.Batch) error { return nil }

func (nowhere) Begin(_ context.Context, _ string, _ *ingest.Batch, done func(error)) { done(nil) }

func (nowhere) DeadLetter(context.Context, *schemas.DeadLetter) error { return nil }

// beTarget is a door in a process of its own, so that its memory can be measured
// apart from those who attack it; with or without a bound on what it holds.
func beTarget(bounded bool) error {
	limits, cfg := ingest.DefaultLimits(), mqttin.DefaultConfig()
	cfg.LoginTime, cfg.PacketTime = 10*patience, 10*patience // a slow machine is no reason to end them
	limits.InFlight = 128 << 20
	if !bounded {
		limits.InFlight = 1 << 40
	}
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		return err
	}
	store := directory.NewStore()
	if err := errors.Join(enter(store, "acme", os.Getenv("FOODFLOW_TEST_KEY")), enter(store, "rival", os.Getenv("FOODFLOW_TEST_RIVAL"))); err != nil {
		return err
	}
	svc, err := ingest.NewService(store, codec, nowhere{}, limits, nil)
	if err != nil {
		return err
	}
	s, err := mqttin.New(cfg, svc, nowhere{}, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		return err
	}
	if err := s.Start(context.Background()); err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, s.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// attackers is how many clients attack at once.
const attackers = 600

// attack logs in with a key and sends all but the last byte of a message as
// large as may be: what came of it must be held until the rest does.
func attack(addr, secret string, i int, within time.Duration) (net.Conn, error) {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	body := []byte{0, 4, 'M', 'Q', 'T', 'T', 4, 0xC2, 0, 0}
	for _, s := range []string{"attacker-" + strconv.Itoa(i), "key", secret} {
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(s))), s...)
	}
	c.Write(append(binary.AppendUvarint([]byte{0x10}, uint64(len(body))), body...))
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		return c, err
	}
	const size = 512<<10 - 10
	packet := append(binary.AppendUvarint([]byte{0x32}, size), "\x00\x0fff/v1/acme/temp\x00\x01"...)
	packet = append(packet, strings.Repeat("1", size-20)...)
	c.SetWriteDeadline(time.Now().Add(within)) // held back: that is the point
	c.Write(packet)
	return c, nil
}

// besieged attacks a door and gives the most memory that it held, and what an
// honest client of another tenant got through meanwhile. A door without bounds is
// waited for until it holds enough, however slow the machine.
func besieged(t *testing.T, role string, within time.Duration, enough int64) (peak int64, honest int64) {
	t.Helper()
	acme, rival := directory.NewKey().Reveal(), directory.NewKey().Reveal()
	v := &victim{t: t, env: []string{roleVariable + "=" + role, "FOODFLOW_TEST_KEY=" + acme, "FOODFLOW_TEST_RIVAL=" + rival}}
	v.start()
	defer v.kill()
	stop := make(chan struct{})
	var wg, fight sync.WaitGroup
	g := &gateway{id: 1, secret: rival, topic: "ff/v1/rival/temp"}
	wg.Go(func() { g.run(v, stop) })
	conns := make([]net.Conn, attackers)
	for i := range conns {
		fight.Go(func() {
			var err error
			if conns[i], err = attack(v.at(), acme, i, within); err != nil {
				t.Error(err)
			}
		})
	}
	fight.Wait()
	eventually(t, "another tenant's messages are acknowledged", func() bool { return g.n.Load() > 0 })
	for began := time.Now(); testkit.PeakRSS(t, v.cmd.Process.Pid) < enough && time.Since(began) < 2*patience; time.Sleep(50 * time.Millisecond) {
		// what was sent may still be on its way
	}
	close(stop)
	wg.Wait()
	peak = testkit.PeakRSS(t, v.cmd.Process.Pid)
	for _, c := range conns {
		if c != nil {
			c.Close()
		}
	}
	return peak, g.n.Load()
}

// TestHostileMessages (S11): six hundred clients of one tenant that each leave
// the largest message unfinished are held within the tenant's share, and a
// client of another tenant delivers meanwhile. The control has no bound, and
// holds all of it.
func TestHostileMessages(t *testing.T) {
	const bound = 160 << 20
	peak, honest := besieged(t, "bounded", 8*time.Second, 0)
	t.Logf("bounded:   peak memory %d MiB, %d messages of another tenant acknowledged", peak>>20, honest)
	if peak > bound && !raceEnabled {
		t.Errorf("peak memory %d MiB, at most %d", peak>>20, bound>>20)
	}
	least := max(2*peak, bound)
	if raceEnabled { // its own memory is a part of both
		least = peak + peak/2
	}
	without, honest := besieged(t, "unbounded", 4*patience, least)
	t.Logf("unbounded: peak memory %d MiB, %d messages of another tenant acknowledged", without>>20, honest)
	if without < least {
		t.Error("without a bound as little is held: the test shows nothing")
	}
}
