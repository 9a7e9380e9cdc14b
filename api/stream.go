package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/foodflow/foodflow/api/live"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

const streamPath = opsPath + "stream"

// RawIn keeps the request and its writer for a handler that writes by itself.
type RawIn struct {
	r *http.Request
	w http.ResponseWriter
}

// Resolve is called by huma before the handler.
func (x *RawIn) Resolve(ctx huma.Context) []error {
	x.r, x.w = humachi.Unwrap(ctx)
	return nil
}

type streamIn struct {
	RawIn
	Kinds       []string `query:"kinds" maxItems:"5" enum:"anomaly,oee,event,alarm,reading" doc:"what to hear, by comma; none: all but readings" example:"[\"anomaly\",\"alarm\"]"`
	Line        string   `query:"line" maxLength:"200" doc:"id or key of a line: only what concerns it" example:"bottling-1"`
	Sensors     []string `query:"sensors" maxItems:"50" doc:"ids or keys of sensors whose readings are wanted, by comma" example:"[\"filler-temperature\"]"`
	SampleMS    int64    `query:"sample_ms" minimum:"100" maximum:"3600000" default:"1000" doc:"the shortest time between two readings of one sensor"`
	LastID      string   `query:"last_event_id" maxLength:"32768" doc:"as Last-Event-ID, for WebSockets in browsers"`
	LastEventID string   `header:"Last-Event-ID" maxLength:"32768" doc:"id of the last message seen: what came since comes first"`
}

// streamOut writes the answer by itself.
type streamOut struct{ Body func(huma.Context) }

const streamText = `Server-Sent Events, or a WebSocket when asked to upgrade: anomalies, OEE parts, domain events and changes of alarms of the caller's tenant as they happen, and readings of chosen sensors, sampled.

A message is ` + "`{\"id\",\"kind\",\"data\"}`" + ` on a WebSocket; as an event the kind is its name and the id its id. The first is ` + "`hello`" + `. Reconnecting with the last id (Last-Event-ID, or last_event_id) gives what came since; ` + "`reset`" + ` says that it can't be had whole, so read the lists anew. ` + "`bye`" + ` (or the close reason) says why a stream ended: expired, slow, stopping. A silence is broken by a comment (a ping) every 15 seconds.

` + withheldText + `

Browsers can't set headers on a WebSocket: offer the subprotocols ` + "`foodflow.v1`" + ` and ` + "`foodflow.bearer.<access token>`" + ` (or ` + "`foodflow.key.<API key>`" + `); the answer chooses the first. A WebSocket from an origin that is neither this host nor on the CORS list is refused.`

func (s *Server) streamRoute() {
	op := huma.Operation{Method: http.MethodGet, Path: streamPath, OperationID: "stream", Summary: "What happens, live", Tags: []string{"live"}, Description: streamText}
	op.Errors = []int{http.StatusNotFound, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError}
	schema := s.huma.OpenAPI().Components.Schemas.Schema(typeOf[live.Message](), true, "")
	op.Responses = map[string]*huma.Response{
		"101": {Description: "A WebSocket; each text message is one Message"},
		"200": {Description: "Server-Sent Events; the data of each is the data of a Message", Content: map[string]*huma.MediaType{"text/event-stream": {Schema: schema}}},
	}
	handle(s, readers(), op, s.stream)
}

func (s *Server) stream(ctx context.Context, in *streamIn) (*streamOut, error) {
	socket := strings.EqualFold(in.r.Header.Get("Upgrade"), "websocket")
	if socket && !s.originAllowed(in.r) {
		return nil, fault.New(fault.Forbidden, "this origin is not on the list")
	}
	f, err := s.filter(ctx, in)
	if err != nil {
		return nil, err
	}
	sub, err := s.Live.Subscribe(principal(ctx).Tenant, f)
	if err != nil {
		return nil, err
	}
	last := in.LastEventID
	if last == "" {
		last = in.LastID
	}
	return &streamOut{func(huma.Context) {
		defer sub.Leave()
		if socket {
			s.webSocket(ctx, in, sub, last)
			return
		}
		s.serverSentEvents(ctx, in, sub, last)
	}}, nil
}

// originAllowed refuses browsers of other pages: a WebSocket is not held back by
// CORS. Who sends no Origin is no browser.
func (s *Server) originAllowed(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" || slices.Contains(s.cfg.Origins, origin) {
		return true
	}
	u, err := url.Parse(origin)
	return err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) && (u.Scheme == "https" || u.Scheme == "http" && !s.cfg.TLS)
}

func (s *Server) filter(ctx context.Context, in *streamIn) (live.Filter, error) {
	f := live.Filter{Kinds: map[string]bool{}, Without: withheld(principal(ctx)), Sensors: map[plant.ID]plant.ID{}, Sample: time.Duration(in.SampleMS) * time.Millisecond}
	for _, k := range in.Kinds {
		f.Kinds[k] = true
	}
	if len(in.Kinds) == 0 {
		for _, k := range live.Kinds() {
			f.Kinds[k] = k != live.KindReading || len(in.Sensors) > 0
		}
	}
	if in.Line != "" {
		l, err := s.line(ctx, in.Line)
		if err != nil {
			return f, err
		}
		f.Line = l.ID
	}
	for _, name := range in.Sensors {
		x, err := s.sensor(ctx, name)
		if err != nil {
			return f, err
		}
		r := plant.Reading{Line: x.Line, Sensor: x.ID}
		f.Sensors[x.ID] = r.Key()
	}
	if f.Kinds[live.KindReading] && len(f.Sensors) == 0 {
		return f, fault.NewInvalid(fault.Item{Location: "sensors", Rule: "required", Message: "readings need the sensors they are of"})
	}
	return f, nil
}

// wire is one way of talking to a client. Its calls end within Config.Slow.
type wire interface {
	send(m live.Message) error
	beat() error
	// bye says why the stream ends.
	bye(why error)
}

// checkEvery is how often a stream's credential is looked at again: a key that
// is revoked and a token that has ended close it.
const checkEvery = time.Second

// pump moves messages to a client until one of the two ends.
func (s *Server) pump(ctx context.Context, r *http.Request, sub *live.Sub, last string, w wire) {
	if err := s.greet(ctx, sub, last, w); err != nil {
		return // the client is gone
	}
	beat, check := time.NewTicker(s.cfg.Heartbeat), time.NewTicker(checkEvery)
	defer beat.Stop()
	defer check.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-sub.Gone():
			w.bye(sub.Why())
			return
		case m := <-sub.Messages():
			err = w.send(m)
		case <-beat.C:
			err = w.beat()
		case <-check.C:
			if _, refused := s.Auth.Authenticate(r); refused != nil {
				sub.End(live.ErrExpired)
			}
		}
		if errors.Is(err, errSlow) {
			sub.End(live.ErrSlow)
		}
		if err != nil {
			return
		}
	}
}

// errSlow is a client that doesn't take what it is sent.
var errSlow = errors.New("the client is slow")

// greet says hello and gives what the client has missed.
func (s *Server) greet(ctx context.Context, sub *live.Sub, last string, w wire) error {
	hello := live.Message{Kind: live.KindHello, Data: []byte(`{"resumed":false}`)}
	if last == "" {
		hello.ID = sub.Start()
		return w.send(hello)
	}
	hello.Data = []byte(`{"resumed":true}`)
	if err := w.send(hello); err != nil { // without an id: until all is sent, the old one holds
		return err
	}
	whole, err := sub.Resume(ctx, last, w.send)
	if err != nil {
		s.Logger.WarnContext(ctx, "a live stream was not resumed", "error", err, "request_id", requestID(ctx))
		return fmt.Errorf("resuming: %w", err)
	}
	if !whole {
		return w.send(live.Message{ID: sub.Start(), Kind: live.KindReset, Data: []byte(`{"reason":"what came since this id can't be had whole"}`)})
	}
	return nil
}
