package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/foodflow/foodflow/api/live"
)

// The subprotocols of a WebSocket: the one that is spoken, and those that carry
// a credential, because browsers can set no header.
const (
	protocol       = "foodflow.v1"
	bearerProtocol = "foodflow.bearer."
	keyProtocol    = "foodflow.key."
)

// subprotocolAuth moves a credential that a browser offers as a subprotocol to
// the header where the others send it.
func subprotocolAuth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != streamPath || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			next.ServeHTTP(w, r)
			return
		}
		var offered []string
		for _, line := range r.Header.Values("Sec-WebSocket-Protocol") {
			for p := range strings.SplitSeq(line, ",") {
				p = strings.TrimSpace(p)
				if token, ok := strings.CutPrefix(p, bearerProtocol); ok {
					r.Header.Set("Authorization", "Bearer "+token)
				} else if key, ok := strings.CutPrefix(p, keyProtocol); ok {
					r.Header.Set("X-API-Key", key)
				} else {
					offered = append(offered, p)
				}
			}
		}
		r.Header.Set("Sec-WebSocket-Protocol", strings.Join(offered, ", "))
		next.ServeHTTP(w, r)
	})
}

// webSocket writes the stream as text messages. Nothing is read but pongs and
// the close.
func (s *Server) webSocket(ctx context.Context, in *streamIn, sub *live.Sub, last string) {
	s.sockets.Add(1)
	defer s.sockets.Done()
	_ = http.NewResponseController(in.w).SetReadDeadline(time.Time{}) // the hijacked connection keeps it otherwise
	c, err := websocket.Accept(in.w, in.r, &websocket.AcceptOptions{
		Subprotocols: []string{protocol}, InsecureSkipVerify: true, // originAllowed has looked, by scheme too
	})
	if err != nil {
		return // Accept has answered
	}
	defer c.CloseNow() //nolint:errcheck // a second close says that it is closed
	ctx = c.CloseRead(context.WithoutCancel(ctx))
	s.pump(ctx, in.r, sub, last, &socket{c: c, ctx: ctx, slow: s.cfg.Slow})
}

// socket is the wire of a WebSocket.
type socket struct {
	c    *websocket.Conn
	ctx  context.Context //nolint:containedctx // it ends with the connection, which this is
	slow time.Duration
}

func (k *socket) send(m live.Message) error {
	b, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return k.within(func(ctx context.Context) error { return k.c.Write(ctx, websocket.MessageText, b) })
}

// beat pings and waits for the pong, which shows that the client is there.
func (k *socket) beat() error { return k.within(k.c.Ping) }

func (k *socket) within(do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(k.ctx, k.slow)
	defer cancel()
	err := do(ctx)
	if errors.Is(ctx.Err(), context.DeadlineExceeded) && err != nil {
		return errSlow
	}
	return err
}

func (k *socket) bye(why error) {
	code := websocket.StatusGoingAway
	if errors.Is(why, live.ErrExpired) || errors.Is(why, live.ErrSlow) {
		code = websocket.StatusPolicyViolation
	}
	_ = k.c.Close(code, why.Error()) // the client may be gone
}
