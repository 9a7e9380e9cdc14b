package api

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// forwarded gives requests that come through a proxy of ours the address of the
// client behind it, so that the limits and the log-in throttle count clients and
// not the proxy. X-Forwarded-For is believed as far as our proxies wrote it: from
// the right, up to the first address that is none of them. What a client wrote
// itself stands left of its own address.
func (s *Server) forwarded(next http.Handler) http.Handler {
	if len(s.cfg.Proxies) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if from, err := netip.ParseAddr(address(r)); err == nil && s.ours(from) {
			if client, ok := s.client(r.Header.Values("X-Forwarded-For")); ok {
				r.RemoteAddr = net.JoinHostPort(client.String(), "0")
			}
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) client(headers []string) (client netip.Addr, ok bool) {
	hops := strings.Split(strings.Join(headers, ","), ",")
	for _, hop := range slices.Backward(hops) {
		addr, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			return client, ok // the last that is one, a proxy of ours
		}
		if client, ok = addr.Unmap().WithZone(""), true; !s.ours(client) {
			break
		}
	}
	return client, ok
}

func (s *Server) ours(a netip.Addr) bool {
	return slices.ContainsFunc(s.cfg.Proxies, func(p netip.Prefix) bool { return p.Contains(a.Unmap().WithZone("")) })
}
