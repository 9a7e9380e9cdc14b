package httpin

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// smallServer has room for 4 MiB in flight.
func smallServer(t *testing.T) *Server {
	t.Helper()
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		t.Fatal(err)
	}
	limits := ingest.DefaultLimits()
	limits.Body, limits.Decoded, limits.InFlight, limits.Quotas.TenantShare = 1<<20, 4<<20, 4<<20, 1
	svc, err := ingest.NewService(directory.NewStore(), codec, &sink{}, limits, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return New(DefaultConfig(), svc, slog.New(slog.DiscardHandler))
}

// Small bodies that swell share the bytes in flight: the second finds no room
// while the first is held, and all of it comes back.
func TestDecompressedBytesAreInFlight(t *testing.T) {
	s := smallServer(t)
	small := gzipped(t, bytes.Repeat([]byte(" "), 5<<19))
	read := func() (*room, error) {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/readings", bytes.NewReader(small))
		r.Header.Set("Content-Encoding", "gzip")
		held := &room{svc: s.svc}
		if err := held.take(r.ContentLength); err != nil {
			t.Fatal(err)
		}
		_, err := s.body(r, codingGzip, r.ContentLength, held)
		return held, err
	}
	first, err := read()
	if err != nil {
		t.Fatal(err)
	}
	second, err := read()
	if err == nil {
		t.Error("two bodies of 2.5 MiB fit into 4 MiB")
	}
	second.release()
	first.release()
	again, err := read()
	if err != nil {
		t.Errorf("room was not given back: %v", err)
	}
	again.release()
	all := &room{svc: s.svc}
	if err := all.take(4 << 20); err != nil {
		t.Errorf("room was not given back: %v", err)
	}
}

// A body that is declared too large is told so, not that there is no room.
func TestDeclaredLengthIsCheckedFirst(t *testing.T) {
	d := newDoor(t)
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/readings", io.LimitReader(bytes.NewReader(nil), 0))
	r.ContentLength = 1 << 40
	r.Header.Set("X-API-Key", d.key)
	r.Header.Set("Content-Type", "application/json")
	rec := httptest.NewRecorder()
	d.ServeHTTP(rec, r)
	if rec.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("got %d, want 413", rec.Code)
	}
}

// A handler that panics gives its key back.
func TestPanicSettlesKey(t *testing.T) {
	k := newKeys(10, 1<<20, time.Minute)
	name := keyName{plant.NewID(), "a"}
	func() {
		defer func() { _ = recover() }()
		_, _ = k.once(context.Background(), name, [32]byte{}, func() (answer, error) { panic("boom") })
	}()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	a, err := k.once(ctx, name, [32]byte{}, func() (answer, error) { return answer{Accepted: 3}, nil })
	if err != nil || a.Accepted != 3 {
		t.Fatalf("the key is stuck: %+v %v", a, err)
	}
	if _, err := k.once(ctx, name, [32]byte{1}, func() (answer, error) { return answer{}, errors.New("ran") }); err == nil {
		t.Error("another body under a key that was answered must be refused")
	}
}
