package mqttin

import (
	"sync/atomic"
	"time"

	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/telemetry"
	"github.com/foodflow/foodflow/schemas"
)

// A group ends when the socket has nothing more to read, and at the latest at
// these sizes: acknowledging in groups costs a message a tenth of what it costs
// alone, and waits for nobody.
const (
	groupMessages = 128
	groupBytes    = 64 << 10
)

// message is a message between receipt and acknowledgement.
type message struct {
	id   uint16 // packet id, 0 at QoS 0
	qos  byte
	code packets.Code // of the PUBACK
}

// group is what a client sent at once. The reading goroutine fills it, the
// producer's callbacks end it, the acknowledging goroutine answers it.
type group struct {
	svc      *ingest.Service
	tenant   plant.ID
	began    time.Time
	messages []message
	batches  [2]*ingest.Batch // by kind
	letters  []*schemas.DeadLetter
	spans    []telemetry.Span // of the messages that are traced
	room     int64            // bytes taken of those in flight
	spare    int64            // of them not yet used
	bytes    int              // payloads

	left   atomic.Int32
	failed atomic.Pointer[error]
	done   chan struct{} // closed by the last of the callbacks
}

// batch gives the group's batch of a kind.
func (g *group) batch(kind ingest.Kind) *ingest.Batch {
	if g.batches[kind] == nil {
		g.batches[kind] = g.svc.Begin(g.tenant, kind)
	}
	return g.batches[kind]
}

// full reports whether the group should go.
func (g *group) full() bool { return len(g.messages) >= groupMessages || g.bytes >= groupBytes }

// one notes the end of one of the things the group waits for.
func (g *group) one(err error) {
	if err != nil {
		g.failed.CompareAndSwap(nil, &err)
	}
	if g.left.Add(-1) == 0 {
		for _, s := range g.spans {
			s.End(g.err())
		}
		g.svc.Give(g.tenant, g.room)
		close(g.done)
	}
}

// err is what went wrong; valid once all callbacks have come.
func (g *group) err() error {
	if p := g.failed.Load(); p != nil {
		return *p
	}
	return nil
}

// drop gives back what a group without messages holds.
func (g *group) drop() {
	for _, b := range g.batches {
		if b != nil {
			g.svc.End(b)
		}
	}
	g.svc.Give(g.tenant, g.room)
}
