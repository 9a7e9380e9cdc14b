package httpin

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"github.com/foodflow/foodflow/internal/testkit"
)

// attack is a hostile request and what may come of it; status 0 is a connection
// closed without an answer.
type attack struct {
	name            string
	media, encoding string
	body            func(key string) io.Reader // nil: raw says all
	raw             func(c net.Conn, key string) error
	want            []int
}

// forever is a body without end.
type forever struct{}

func (forever) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// bomb is 256 MiB of spaces in 256 gzip members.
func bomb(t *testing.T) []byte {
	return bytes.Repeat(gzipped(t, bytes.Repeat([]byte(" "), 1<<20)), 256)
}

func zstdBomb(t *testing.T) []byte {
	t.Helper()
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.Repeat(enc.EncodeAll(bytes.Repeat([]byte(" "), 1<<20), nil), 256)
}

func attacks(t *testing.T) []attack {
	fixed := func(b []byte) func(string) io.Reader { return func(string) io.Reader { return bytes.NewReader(b) } }
	gz, zs := bomb(t), zstdBomb(t)
	// Or there is no room for it at the moment, or under so much load it comes too
	// slowly; a door that refuses a large body hangs up on it, and the client may
	// see that before it sees the answer.
	busy := [...]int{http.StatusServiceUnavailable, http.StatusRequestTimeout, 0}
	full := append(slices.Clone(busy[:]), http.StatusRequestEntityTooLarge)
	deep := append(slices.Clone(busy[:]), http.StatusBadRequest)
	avro := avroFile(t, newDoor(t), 3)
	lie := append([]byte("Obj\x01\x02"), 0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f)
	return []attack{
		{name: "gzip bomb", media: "application/json", encoding: "gzip", body: fixed(gz), want: full},
		{name: "zstd bomb", media: "application/json", encoding: "zstd", body: fixed(zs), want: full},
		{name: "gzip bomb as avro", media: "application/avro", encoding: "gzip", body: fixed(gz), want: full},
		{name: "endless chunks", media: "application/json", body: func(string) io.Reader { return forever{} }, want: full},
		{name: "nesting", media: "application/json", body: fixed([]byte(`{"readings":` + strings.Repeat("[", 1_000_000))), want: deep},
		{name: "nested objects", media: "application/json", body: fixed([]byte(`{"readings":[` + strings.Repeat(`{"x":`, 1_000_000))), want: deep},
		{name: "avro length lies", media: "application/avro", body: fixed(lie), want: full},
		{name: "avro cut", media: "application/avro", body: fixed(avro[:len(avro)-9]), want: deep},
		{name: "slow body", raw: func(c net.Conn, key string) error {
			if _, err := fmt.Fprintf(c, "POST /v1/readings HTTP/1.1\r\nHost: x\r\nX-API-Key: %s\r\nContent-Type: application/json\r\nContent-Length: 10000\r\n\r\n", key); err != nil {
				return err
			}
			return drip(c)
		}, want: busy[:]},
		{name: "slow header", raw: func(c net.Conn, _ string) error {
			if _, err := io.WriteString(c, "POST /v1/readings HTTP/1.1\r\nX-A: "); err != nil {
				return err
			}
			return drip(c)
		}, want: busy[1:]},
	}
}

// drip sends a byte now and then until the door has enough of it.
func drip(c net.Conn) error {
	for range 1200 {
		if _, err := io.WriteString(c, " "); err != nil {
			return err
		}
		time.Sleep(100 * time.Millisecond) // this is the attack
	}
	return nil
}

// launch gives the status that came of it.
func (a *attack) launch(p *process) (int, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	if a.raw != nil {
		c, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.addr)
		if err != nil {
			return 0, err
		}
		defer c.Close()
		status := make(chan int, 1)
		go func() {
			resp, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				status <- 0
				return
			}
			resp.Body.Close()
			status <- resp.StatusCode
		}()
		if a.raw(c, p.key) == nil {
			return 0, fmt.Errorf("%s: the door took all of it", a.name)
		}
		return <-status, nil
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+p.addr+"/v1/readings", a.body(p.key))
	if err != nil {
		return 0, err
	}
	r.Header.Set("X-API-Key", p.key)
	r.Header.Set("Content-Type", a.media)
	if a.encoding != "" {
		r.Header.Set("Content-Encoding", a.encoding)
	}
	r.Close = true
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, nil // hanging up in the middle of a body is one of the outcomes
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body) // the status says it all
	return resp.StatusCode, nil
}

// hostileRounds is how many of each attack run together; make chaos raises it.
func hostileRounds(t *testing.T) int {
	v := os.Getenv("FOODFLOW_TEST_HOSTILE")
	if v == "" {
		return 3
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatal("FOODFLOW_TEST_HOSTILE: ", err)
	}
	return n
}

// maxHostileRSS is what the door may come to: the bytes in flight of one tenant
// (128 MiB), half as much again while buffers grow, and twice that until the
// collector has seen it; the rest is the runtime and the decoders' windows.
const maxHostileRSS = 768 << 20

// TestHostileBodies (S11, S12): every attack many times at once on one door,
// while a producer goes on. The door lives, answers each as it must, keeps its
// memory, and takes every reading of the producer. The control has no limits
// and swells under a few of the same bombs.
func TestHostileBodies(t *testing.T) {
	n := hostileRounds(t)
	p := startDoor(t, "on")
	stop, worst := make(chan struct{}), time.Duration(0)
	var good, wg sync.WaitGroup
	sent := 0
	good.Go(func() {
		d := &door{key: p.key, now: time.Now().UnixMilli()}
		for ; ; sent++ {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			p.deliver(t, fmt.Sprintf(`{"readings":[{"sensor":"temp","ts":%d,"value":1,"seq":%d}]}`, d.now, sent))
			worst = max(worst, time.Since(began))
			time.Sleep(20 * time.Millisecond) // a producer's pace
		}
	})
	var mu sync.Mutex // guards statuses
	statuses := map[string]map[int]int{}
	all := attacks(t)
	for i := range all {
		a := &all[i]
		statuses[a.name] = map[int]int{}
		for range n {
			wg.Go(func() {
				code, err := a.launch(p)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				statuses[a.name][code]++
			})
		}
	}
	wg.Wait()
	close(stop)
	good.Wait()
	rss := testkit.PeakRSS(t, p.cmd.Process.Pid)
	p.end()
	for _, a := range all {
		t.Logf("%-18s %v", a.name, statuses[a.name])
		for code := range statuses[a.name] {
			if !slices.Contains(a.want, code) {
				t.Errorf("%s: answered %d, want %v", a.name, code, a.want)
			}
		}
	}
	t.Logf("%d attacks at once: peak RSS %d MiB; meanwhile %d readings delivered, the slowest in %v", n*len(all), rss>>20, sent, worst.Round(time.Millisecond))
	if rss > maxHostileRSS && !raceEnabled {
		t.Errorf("peak RSS %d MiB, at most %d", rss>>20, int64(maxHostileRSS)>>20)
	}
	if sent == 0 {
		t.Error("the producer delivered nothing")
	}

	without := unbounded(t, &all[0])
	t.Logf("control without limits, gzip bombs: peak RSS %d MiB, and more to come", without>>20)
	if without < maxHostileRSS {
		t.Error("without limits the door needs no more: the test shows nothing")
	}
}

// unbounded throws a bomb at a door without limits until it has swollen past what
// one with limits may come to, and ends it: its memory is everybody's.
func unbounded(t *testing.T, bomb *attack) (rss int64) {
	t.Helper()
	open := startDoor(t, "off")
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() {
			if _, err := bomb.launch(open); err != nil {
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for over := false; !over && rss < maxHostileRSS; rss = testkit.PeakRSS(t, open.cmd.Process.Pid) {
		select {
		case <-done:
			over = true
		case <-time.After(20 * time.Millisecond):
		}
	}
	open.kill()
	<-done
	return rss
}

// deliver sends until it is accepted; 503 says to come again, as do 408 and a
// connection that ends when the machine is too slow for the time a request has.
func (p *process) deliver(t *testing.T, body string) {
	for deadline := time.Now().Add(2 * time.Minute); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+p.addr+"/v1/readings", strings.NewReader(body))
		if err != nil {
			t.Error(err)
			return
		}
		r.Header.Set("X-API-Key", p.key)
		r.Header.Set("Content-Type", "application/json")
		r.Close = true
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			continue // that the door lives shows in the next try, and in how it ends
		}
		resp.Body.Close()
		switch resp.StatusCode {
		case http.StatusAccepted:
			return
		case http.StatusServiceUnavailable, http.StatusRequestTimeout:
		default:
			t.Error("the producer was answered ", resp.StatusCode)
			return
		}
	}
	t.Error("the producer was not heard for two minutes")
}
