package api

import (
	"context"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/foodflow/foodflow/api/live"
)

// serverSentEvents writes the stream as text/event-stream.
func (s *Server) serverSentEvents(ctx context.Context, in *streamIn, sub *live.Sub, last string) {
	h := in.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // nginx would hold messages back
	e := &events{w: in.w, rc: http.NewResponseController(in.w), slow: s.cfg.Slow}
	// The listener's limits are for answers that end; a recorder in a test has
	// none to lift.
	_, _ = e.rc.SetReadDeadline(time.Time{}), e.rc.SetWriteDeadline(time.Time{})
	in.w.WriteHeader(http.StatusOK)
	if e.write([]byte("retry: 2000\n\n")) != nil {
		return
	}
	s.pump(ctx, in.r, sub, last, e)
}

// events is the wire of Server-Sent Events.
type events struct {
	w    http.ResponseWriter
	rc   *http.ResponseController
	slow time.Duration
}

func (e *events) send(m live.Message) error {
	b := make([]byte, 0, 64+len(m.ID)+len(m.Kind)+len(m.Data))
	if m.ID != "" {
		b = append(append(append(b, "id: "...), m.ID...), '\n')
	}
	b = append(append(append(b, "event: "...), m.Kind...), '\n')
	// JSON of ours holds no line break: encoding/json writes none.
	b = append(append(append(b, "data: "...), m.Data...), "\n\n"...)
	return e.write(b)
}

func (e *events) beat() error { return e.write([]byte(":\n\n")) }

func (e *events) bye(why error) {
	_ = e.send(live.Message{Kind: live.KindBye, Data: []byte(`{"reason":"` + why.Error() + `"}`)}) // the client may be gone
}

func (e *events) write(b []byte) error {
	if err := e.rc.SetWriteDeadline(time.Now().Add(e.slow)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	_, err := e.w.Write(b)
	if err == nil {
		err = e.rc.Flush()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errSlow
	}
	return err
}
