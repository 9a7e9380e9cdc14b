package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/api/auth"
	"github.com/foodflow/foodflow/api/live"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// stage is a world whose API listens and whose stream has a Kafka.
type stage struct {
	*world
	cl    *kgo.Client
	codec *schemas.Codec
	hub   *live.Hub
	base  string // host:port
}

func newStage(t *testing.T, change func(*Config, *live.Config)) *stage {
	t.Helper()
	s := &stage{world: newWorld(t)}
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	must(t, err)
	t.Cleanup(cluster.Close)
	kafka := broker.DefaultConfig()
	kafka.Brokers = cluster.ListenAddrs()
	s.cl, err = broker.Client(kafka)
	must(t, err)
	t.Cleanup(s.cl.Close)
	must(t, broker.EnsureTopics(t.Context(), s.cl, 4))
	s.codec, err = schemas.NewStaticCodec()
	must(t, err)
	cfg, lc := s.s.cfg, live.DefaultConfig()
	cfg.Addr, cfg.Origins = "127.0.0.1:0", []string{"https://board.example"}
	change(&cfg, &lc)
	s.hub, err = live.New(lc, kafka, s.codec, s.dir, nil, slog.New(slog.DiscardHandler))
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.hub.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		must(t, <-done)
	})
	deps := s.s.Deps
	deps.Live = s.hub
	s.s, err = New(cfg, deps)
	must(t, err)
	must(t, s.s.Start(t.Context(), func(err error) { t.Error(err) }))
	t.Cleanup(func() { must(t, s.s.Stop(context.Background())) })
	s.base = s.s.Addr()
	s.ready()
	return s
}

// ready waits until the hub knows where it is.
func (s *stage) ready() {
	s.t.Helper()
	for range 6000 {
		sub, err := s.hub.Subscribe(plant.NewID(), live.Filter{})
		must(s.t, err)
		at := sub.Start()
		sub.Leave()
		if at != "" {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.t.Fatal("the hub doesn't find the topics")
}

func (s *stage) publish(topic string, key plant.ID, value []byte) {
	s.t.Helper()
	must(s.t, broker.NewProducer(s.cl).Publish(s.t.Context(), []broker.Message{{Topic: topic, Key: key[:], Value: value}}))
}

// anomaly publishes a finding of a value.
func (s *stage) anomaly(tenant, sensor plant.ID, value float64) {
	s.t.Helper()
	v, err := s.codec.AppendAnomaly(nil, &plant.Anomaly{ID: plant.NewID(), Tenant: tenant, Line: demo.ID("line", demo.Bottling), Sensor: sensor, Kind: plant.AnomalyLimitH, TS: 5, Since: 4, Value: value})
	must(s.t, err)
	s.publish(broker.TopicAnomalies, sensor, v)
}

// listener reads Server-Sent Events.
type listener struct {
	t    testing.TB
	res  *http.Response
	in   chan event
	last string
}

type event struct{ id, kind, data string }

func (s *stage) listen(credential, query string, more ...string) *listener {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, "http://"+s.base+streamPath+query, nil)
	must(s.t, err)
	if strings.HasPrefix(credential, "ff_") {
		r.Header.Set("X-API-Key", credential)
	} else {
		r.Header.Set("Authorization", "Bearer "+credential)
	}
	for i := 0; i+1 < len(more); i += 2 {
		r.Header.Set(more[i], more[i+1])
	}
	c := &http.Client{Transport: &http.Transport{}}
	s.t.Cleanup(c.CloseIdleConnections)
	res, err := c.Do(r)
	must(s.t, err)
	s.t.Cleanup(func() { res.Body.Close() })
	l := &listener{t: s.t, res: res, in: make(chan event, 4096)}
	if res.StatusCode != http.StatusOK {
		return l
	}
	go func() {
		defer close(l.in)
		var e event
		sc := bufio.NewScanner(res.Body)
		sc.Buffer(nil, 1<<20)
		for sc.Scan() {
			field, v, _ := strings.Cut(sc.Text(), ": ")
			switch field {
			case "id":
				e.id = v
			case "event":
				e.kind = v
			case "data":
				e.data = v
			case ":":
				l.in <- event{kind: "heartbeat"}
			case "":
				if e.kind != "" {
					l.in <- e
				}
				e = event{}
			}
		}
	}()
	l.next("hello")
	return l
}

// next waits for the next message, of a kind, passing over heartbeats.
func (l *listener) next(kind string) event {
	l.t.Helper()
	timeout := time.After(2 * time.Minute)
	for {
		select {
		case e, open := <-l.in:
			if e.kind == "heartbeat" && kind != "heartbeat" {
				continue
			}
			if !open || e.kind != kind {
				l.t.Fatalf("got %+v (open %v), want %s", e, open, kind)
			}
			if e.id != "" {
				l.last = e.id
			}
			return e
		case <-timeout:
			l.t.Fatalf("no %s came", kind)
		}
	}
}

func (l *listener) value(want float64) {
	l.t.Helper()
	var a live.Anomaly
	if e := l.next("anomaly"); json.Unmarshal([]byte(e.data), &a) != nil || a.Value != want || e.id == "" {
		l.t.Fatalf("%+v, want the value %v", e, want)
	}
}

// TestStream listens to everything: what the caller's tenant does comes, what
// another does never; a message for the rival between two of ours shows that
// nothing of it waits.
func TestStream(t *testing.T) {
	s := newStage(t, func(*Config, *live.Config) {})
	ours, sensor := demo.TenantID(), demo.ID("sensor", "filler-temperature")
	rivalTenant, err := s.s.Store.Tenant(t.Context(), "rival")
	must(t, err)
	token := s.admin()
	rivalToken, _ := s.login(rivalAdmin, rivalPassword)
	l := s.listen(token, "?kinds=anomaly,oee,event,alarm,reading&sensors=filler-temperature&sample_ms=100")
	rival := s.listen(rivalToken, "")
	line := s.listen(token, "?line="+demo.Bakery)
	if got := l.res.Header.Get("Content-Type"); got != "text/event-stream" {
		t.Errorf("content type %s", got)
	}
	s.anomaly(rivalTenant.ID, sensor, 1) // with a sensor that isn't theirs
	s.anomaly(ours, sensor, 2)
	l.value(2)
	rival.value(1)
	part, err := s.codec.AppendOEEPart(nil, &plant.OEEPart{Tenant: ours, Line: demo.ID("line", demo.Bakery), Minute: 60_000, Good: 7, TimeMS: [plant.NumTimeClasses]int64{plant.ClassRunning: 60_000}})
	must(t, err)
	s.publish(broker.TopicOEE, demo.ID("line", demo.Bakery), part)
	if e := l.next("oee"); !strings.Contains(e.data, `"classes_ms":{"running":60000}`) || !strings.Contains(e.data, `"minute":"1970-01-01T00:01:00.000Z"`) {
		t.Errorf("%+v", e)
	}
	line.next("oee")
	for kind, aggregate := range map[string]string{"event": "batch", "alarm": "alarm"} {
		v, err := s.codec.AppendDomainEvent(nil, &schemas.DomainEvent{ID: plant.NewID(), Type: "X", Tenant: ours, AggregateType: aggregate, Aggregate: sensor, Seq: 3, TS: 9, Actor: "system", Data: `{"line_id":"` + demo.ID("line", demo.Bakery).String() + `"}`})
		must(t, err)
		s.publish(broker.TopicEvents, sensor, v)
		if e := l.next(kind); !strings.Contains(e.data, `"seq":3`) || !strings.Contains(e.data, `"data":{"line_id"`) {
			t.Errorf("%+v", e)
		}
		line.next(kind)
	}
	// A reading comes once its partition is followed from its end.
	for i := 0; ; i++ {
		r := plant.Reading{Tenant: ours, Line: demo.ID("line", demo.Bottling), Sensor: sensor, TS: 7, Value: 4.5, Seq: plant.NoSeq}
		key := r.Key()
		s.publish(broker.TopicReadings, key, s.codec.AppendReading(nil, &r))
		r.Sensor = demo.ID("sensor", "filler-flow")
		s.publish(broker.TopicReadings, key, s.codec.AppendReading(nil, &r))
		select {
		case e := <-l.in:
			if e.kind == "heartbeat" {
				continue
			}
			if e.kind != "reading" || e.id != "" || !strings.Contains(e.data, `"sensor_key":"filler-temperature"`) || !strings.Contains(e.data, `"value":4.5`) {
				t.Errorf("%+v", e)
			}
		case <-time.After(20 * time.Millisecond):
			if i < 1000 {
				continue
			}
			t.Fatal("no reading came")
		}
		break
	}
	s.anomaly(rivalTenant.ID, sensor, 3)
	rival.value(3) // and nothing of ours before it
	for _, bad := range []string{"?kinds=odd", "?kinds=reading", "?sample_ms=1", "?sensors=" + strings.Repeat("x,", 51)} {
		s.call(token, "GET", streamPath+bad, nil).want(t, 422)
	}
	s.call(token, "GET", streamPath+"?line=none", nil).want(t, 404)
	s.call("", "GET", streamPath, nil).want(t, 401)
}

// TestStreamResumes breaks a connection and comes back with the last id: what
// came meanwhile comes first, once each, and then what is new. Where that can't
// be had the client is told.
func TestStreamResumes(t *testing.T) {
	s := newStage(t, func(_ *Config, c *live.Config) { c.Replay = 300 })
	ours, token := demo.TenantID(), s.admin()
	sensors := []plant.ID{demo.ID("sensor", "filler-temperature"), demo.ID("sensor", "filler-flow"), demo.ID("sensor", "filler-pressure")}
	l := s.listen(token, "?kinds=anomaly")
	first := l.last
	for i := range 10 {
		s.anomaly(ours, sensors[i%3], float64(i))
	}
	seen := map[string]int{}
	take := func(l *listener, n int) {
		t.Helper()
		for range n {
			var a live.Anomaly
			must(t, json.Unmarshal([]byte(l.next("anomaly").data), &a))
			seen[fmt.Sprint(a.Value)]++
		}
	}
	take(l, 4)
	l.res.Body.Close()
	for i := 10; i < 30; i++ {
		s.anomaly(ours, sensors[i%3], float64(i))
		s.anomaly(plant.NewID(), sensors[i%3], 99)
	}
	back := s.listen(token, "?kinds=anomaly", "Last-Event-ID", l.last)
	take(back, 13) // in the middle of what was missed
	back.res.Body.Close()
	again := s.listen(token, "?kinds=anomaly&last_event_id="+back.last)
	s.anomaly(ours, sensors[0], 30)
	take(again, 14)
	for i := range 31 {
		if seen[fmt.Sprint(i)] != 1 {
			t.Errorf("value %d came %d times", i, seen[fmt.Sprint(i)])
		}
	}
	for name, id := range map[string]string{"nonsense": "nonsense", "of another shape": "0.0.0", "in the future": strings.ReplaceAll(first, "0", "zz")} {
		other := s.listen(token, "?kinds=anomaly", "Last-Event-ID", id)
		if e := other.next("reset"); e.id == "" {
			t.Errorf("%s: %+v", name, e)
		}
	}
	for i := range 300 {
		s.anomaly(ours, sensors[0], float64(i))
	}
	s.listen(token, "?kinds=anomaly", "Last-Event-ID", first).next("reset")
}

// TestStreamLimits is promise S17 for what ends or refuses a stream.
func TestStreamLimits(t *testing.T) {
	s := newStage(t, func(c *Config, l *live.Config) {
		// A reader that this machine keeps waiting must not count as slow.
		c.Heartbeat, c.Slow = 50*time.Millisecond, 5*time.Second
		l.Tenant, l.Buffer = 3, 8
	})
	ours, sensor := demo.TenantID(), demo.ID("sensor", "filler-temperature")
	t.Run("heartbeat", func(t *testing.T) {
		l := s.listen(s.admin(), "")
		l.next("heartbeat")
		l.res.Body.Close()
	})
	made := s.call(s.admin(), "POST", "/api/v1/api-keys", map[string]any{"name": "board", "scopes": []string{"read"}}).want(t, 201).json(t)
	s.sync()
	t.Run("a revoked key closes", func(t *testing.T) {
		l := s.listen(made["key"].(string), "")
		s.call(s.admin(), "DELETE", "/api/v1/api-keys/"+made["id"].(string), nil, "If-Match", "*").want(t, 204)
		s.sync()
		if e := l.next("bye"); !strings.Contains(e.data, "expired") {
			t.Errorf("%+v", e)
		}
	})
	t.Run("the tenant's cap", func(t *testing.T) {
		var open []*listener
		for range 3 {
			open = append(open, s.listen(s.admin(), ""))
		}
		if l := s.listen(s.admin(), ""); l.res.StatusCode != http.StatusTooManyRequests || l.res.Header.Get("Retry-After") == "" {
			t.Errorf("the fourth: %d", l.res.StatusCode)
		}
		rival, _ := s.login(rivalAdmin, rivalPassword)
		s.listen(rival, "").res.Body.Close()
		for _, l := range open {
			l.res.Body.Close()
		}
		s.empty()
	})
	t.Run("a slow reader is dropped and harms no other", func(t *testing.T) {
		quick := s.listen(s.admin(), "?kinds=event")
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", s.base)
		must(t, err)
		defer c.Close()
		must(t, c.(*net.TCPConn).SetReadBuffer(4096))
		_, err = fmt.Fprintf(c, "GET %s?kinds=event HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n\r\n", streamPath, s.admin())
		must(t, err)
		big := `{"text":"` + strings.Repeat("x", 200_000) + `"}`
		for i := range 200 {
			v, err := s.codec.AppendDomainEvent(nil, &schemas.DomainEvent{ID: plant.NewID(), Type: "X", Tenant: ours, AggregateType: "batch", Aggregate: sensor, Seq: int64(i), Data: big})
			must(t, err)
			s.publish(broker.TopicEvents, sensor, v)
			quick.next("event")
		}
		quick.res.Body.Close()
		s.empty() // the slow one is gone although it never closed
	})
}

// empty waits until the demo tenant has no listener.
func (s *stage) empty() {
	s.t.Helper()
	for range 6000 {
		if s.hub.Listeners() == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	s.t.Fatalf("%d listeners are left", s.hub.Listeners())
}

// TestStreamEndsWithItsToken: an access token that ends closes what it opened.
func TestStreamEndsWithItsToken(t *testing.T) {
	s := newStage(t, func(*Config, *live.Config) {})
	ac := auth.DefaultConfig()
	ac.Secret = bytes.Repeat([]byte{7}, 32)
	var ahead atomic.Int64
	now := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	keys, err := auth.NewKeys(ac, s.s.Store, slog.New(slog.DiscardHandler), now)
	must(t, err)
	must(t, keys.Load(t.Context()))
	s.s.Auth = auth.New(ac, keys, s.s.Store, s.dir, s.hasher, slog.New(slog.DiscardHandler), now)
	token := s.admin()
	l := s.listen(token, "?kinds=anomaly")
	k, _, err := s.dial("", protocol, bearerProtocol+token)
	must(t, err)
	time.Sleep(2 * checkEvery) // looked at, and good
	s.anomaly(demo.TenantID(), demo.ID("sensor", "filler-flow"), 1)
	l.value(1)
	ahead.Store(int64(ac.Access + time.Minute))
	if e := l.next("bye"); !strings.Contains(e.data, "expired") {
		t.Errorf("%+v", e)
	}
	for {
		if _, _, err = k.Read(t.Context()); err != nil {
			break
		}
	}
	if websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
		t.Errorf("the socket ends with %v", err)
	}
}

func (s *stage) dial(origin string, protocols ...string) (*websocket.Conn, *http.Response, error) {
	s.t.Helper()
	h := http.Header{}
	if origin != "" {
		h.Set("Origin", origin)
	}
	c, res, err := websocket.Dial(s.t.Context(), "ws://"+s.base+streamPath+"?kinds=anomaly", &websocket.DialOptions{HTTPHeader: h, Subprotocols: protocols})
	if err == nil {
		s.t.Cleanup(func() { c.CloseNow() })
	}
	return c, res, err
}

// TestStreamOverWebSocket: a browser's way in, and the origins that may take it.
func TestStreamOverWebSocket(t *testing.T) {
	s := newStage(t, func(c *Config, _ *live.Config) { c.Heartbeat = 100 * time.Millisecond })
	token := s.admin()
	accepted := 0
	for origin, want := range map[string]int{
		"": 101, "https://board.example": 101, "http://" + s.base: 101, "https://evil.example": 403, "http://board.example": 403, "https://board.example.evil.example": 403, "null": 403, "https://board.example:444": 403,
	} {
		_, res, err := s.dial(origin, protocol, bearerProtocol+token)
		if res == nil || res.StatusCode != want {
			t.Errorf("origin %q: %+v, %v; want %d", origin, res, err, want)
			continue
		}
		if want == 101 {
			accepted++
		} else if text, _ := io.ReadAll(res.Body); !strings.Contains(string(text), "origin") {
			t.Errorf("origin %q: %s", origin, text)
		}
	}
	if accepted != 3 {
		t.Errorf("%d origins accepted", accepted)
	}
	for _, p := range [][]string{{protocol}, {protocol, bearerProtocol + "x" + token}, {protocol, keyProtocol + "ff_a_b"}} {
		if _, res, err := s.dial("", p...); err == nil || res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%v: %v", p, err)
		}
	}
	c, res, err := s.dial("", protocol, keyProtocol+s.seed.Key.Reveal())
	must(t, err)
	if got := res.Header.Get("Sec-WebSocket-Protocol"); got != protocol {
		t.Errorf("protocol %q", got)
	}
	read := func() (m live.Message) {
		t.Helper()
		_, b, err := c.Read(t.Context()) // answers pings on the way
		must(t, err)
		must(t, json.Unmarshal(b, &m))
		return m
	}
	if m := read(); m.Kind != live.KindHello || m.ID == "" {
		t.Errorf("%+v", m)
	}
	for i := range 3 {
		time.Sleep(150 * time.Millisecond) // past a heartbeat
		s.anomaly(demo.TenantID(), demo.ID("sensor", "filler-flow"), float64(i))
		if m := read(); m.Kind != live.KindAnomaly || !strings.Contains(string(m.Data), fmt.Sprintf(`"value":%d`, i)) {
			t.Errorf("%s %s", m.Kind, m.Data)
		}
	}
	// The service stops: the stream is closed with the reason, and Stop waits
	// for it.
	sse := s.listen(token, "")
	stopped := make(chan error, 1)
	go func() { stopped <- s.s.Stop(context.Background()) }()
	if e := sse.next("bye"); !strings.Contains(e.data, "stopping") {
		t.Errorf("%+v", e)
	}
	if _, _, err := c.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the socket ends with %v", err)
	}
	must(t, <-stopped)
	if _, err := s.hub.Subscribe(demo.TenantID(), live.Filter{}); err == nil {
		t.Error("a listener is taken after the stop")
	}
}
