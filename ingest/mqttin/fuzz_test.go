package mqttin

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// FuzzTopic: whatever a topic is, it names at most one thing of one tenant, and
// by the topic's own text.
func FuzzTopic(f *testing.F) {
	for _, topic := range append([]string{"", "ff/v1/acme/temp", "ff/v1/acme/lines/bottling", "ff/v1/acme/lines/", "ff/v1//x", "ff/v1/a/b/c", "ff/v1/acme/lines"}, "$SYS/x", "ff/v1/a/lines/lines/x") {
		f.Add(topic)
	}
	f.Fuzz(func(t *testing.T, topic string) {
		p, ok := parseTopic(topic)
		if !ok {
			return
		}
		again := prefix + p.tenant + "/" + p.name
		if p.kind == ingest.Events {
			again = prefix + p.tenant + "/lines/" + p.name
		}
		if again != topic || len(topic) > maxTopic || p.tenant == "" || p.name == "" || strings.Contains(p.tenant+p.name, "/") {
			t.Fatalf("%q is read as %+v", topic, p)
		}
	})
}

// FuzzFrames: however a stream is cut into pieces, its packets are found where
// mochi finds them, and nothing passes the longest length there is.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0x10, 2, 1, 2, 0xC0, 0, 0x30, 0x80, 0x01}, uint8(1))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0xff, 0x01}, uint8(3))
	f.Add([]byte{0x30, 0xff, 0xff, 0xff, 0x7f, 1, 2, 3}, uint8(2))
	f.Fuzz(func(t *testing.T, stream []byte, piece uint8) {
		type packet struct {
			first byte
			size  int
		}
		var want, got []packet
		r := bufio.NewReader(bytes.NewReader(stream))
		for {
			first, err := r.ReadByte()
			if err != nil {
				break
			}
			n, _, err := packets.DecodeLength(r)
			if err != nil {
				break
			}
			want = append(want, packet{first, n})
			if _, err := r.Discard(n); err != nil {
				break
			}
		}
		var s frames
		broken := false
		for rest := stream; len(rest) > 0 && !broken; {
			b := rest[:min(len(rest), int(piece)+1)]
			rest = rest[len(b):]
			for len(b) > 0 {
				used, header, err := s.next(b)
				if broken = err != nil; broken {
					break
				}
				if used == 0 {
					t.Fatal("stands still")
				}
				if header {
					got = append(got, packet{s.first, s.size})
				}
				b = b[used:]
			}
		}
		// mochi takes lengths of five bytes that happen to be small.
		if len(got) > len(want) || !broken && len(got) != len(want) {
			t.Fatalf("%v, want %v", got, want)
		}
		for i := range got {
			if got[i] != want[i] || got[i].size > 268_435_455 {
				t.Fatalf("%v, want %v", got, want)
			}
		}
	})
}

// swallow is an output that takes everything at once.
type swallow struct{ n int }

func (s *swallow) Publish(context.Context, string, *ingest.Batch) error { return nil }

func (s *swallow) Begin(_ context.Context, _ string, b *ingest.Batch, done func(error)) {
	s.n += b.Len()
	done(nil)
}

// DeadLetter takes letters too.
func (s *swallow) DeadLetter(context.Context, *schemas.DeadLetter) error { return nil }

// FuzzStream gives the whole door anything behind a log-in that is right, and in
// front of it (S22). Whatever comes, the connection ends, nothing of it is left,
// and the process lives: a panic in mochi's decoders, of which fuzzing finds
// some, ends one connection.
func FuzzStream(f *testing.F) {
	out := &swallow{}
	s, svc, secret, tenant := fuzzDoor(f, out)
	connect := func(version byte) []byte {
		body := append([]byte("\x00\x04MQTT"), version, 0x42, 0, 60)
		if version == 5 {
			body = append(body, 0)
		}
		body = append(body, 0, 1, 'c', 0, byte(len(secret)))
		body = append(body, secret...)
		return append(binary.AppendUvarint([]byte{connectPacket}, uint64(len(body))), body...)
	}
	f.Add(byte(1), []byte("\x82\x0600\x00\x00\x010")) // SUBSCRIBE of MQTT 5, cut off: a panic in mochi 2.7.9
	f.Add(byte(0), []byte("\x32\x14\x00\x0fff/v1/acme/temp\x00\x015"))
	f.Add(byte(1), []byte("\x32\x15\x00\x0fff/v1/acme/temp\x00\x01\x005\xe0\x00"))
	f.Add(byte(1), []byte("\x32\x18\x00\x0fff/v1/acme/temp\x00\x01\x03\x23\x00\x015\x32\x09\x00\x00\x00\x02\x03\x23\x00\x017"))
	f.Add(byte(0), []byte("\x34\x14\x00\x0fff/v1/acme/temp\x00\x015\x62\x02\x00\x01\xc0\x00"))
	f.Add(byte(2), connect(5)[:40])
	f.Fuzz(func(t *testing.T, choice byte, stream []byte) {
		if choice%3 < 2 {
			stream = append(connect(4+choice%3), stream...)
		}
		ours, theirs := net.Pipe()
		c := newConn(s, ours)
		if !s.admit(c) {
			t.Fatal("no room: something stayed")
		}
		go func() {
			_, _ = theirs.Write(stream) // it may end before
			theirs.Close()
		}()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		s.serve(c, s.broker.EstablishConnection)
		s.running.Wait()
		s.letters.Wait()
		if s.sockets() != 0 || s.loggedIn() != 0 || len(s.tenants) != 0 || s.broker.Clients.Len() > 1 {
			t.Fatalf("%d sockets and %d log-ins stay", s.sockets(), s.loggedIn())
		}
		share := int64(float64(svc.Limits().InFlight) * svc.Limits().Quotas.TenantShare)
		if err := svc.Take(tenant, share); err != nil {
			t.Fatal("room was not given back: ", err)
		}
		svc.Give(tenant, share)
	})
}

func fuzzDoor(f *testing.F, out *swallow) (*Server, *ingest.Service, string, plant.ID) {
	f.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		f.Fatal(err)
	}
	store, key, tenant := directory.NewStore(), directory.NewKey(), plant.NewID()
	err = directorytest.Enter(store,
		directory.Tenant{ID: tenant, Key: "acme"},
		directory.Sensor{ID: plant.NewID(), Tenant: tenant, Line: plant.NewID(), Key: "temp"},
		directory.APIKey{ID: plant.NewID(), Tenant: tenant, Public: key.Public, Hash: key.Hash(), Scopes: []string{directory.ScopeIngest}},
	)
	if err != nil {
		f.Fatal(err)
	}
	svc, err := ingest.NewService(store, codec, out, ingest.DefaultLimits(), nil)
	if err != nil {
		f.Fatal(err)
	}
	s, err := New(DefaultConfig(), svc, out, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		f.Fatal(err)
	}
	return s, svc, key.Reveal(), tenant
}
