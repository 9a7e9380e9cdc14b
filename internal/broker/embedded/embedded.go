package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/foodflow/foodflow/internal/lifecycle"
)

// Config places the broker.
type Config struct {
	// Dir is the data directory.
	Dir string
	// Addr is host:port on loopback. Port 0 takes the port of the last start of
	// Dir, or a free one the first time.
	Addr string
	// Sync makes every batch durable against power loss before its ack.
	Sync bool
}

// portFile remembers the port, since clients of the last run know it.
const portFile = "port"

// Serve runs the broker until ctx ends. ready is called once with the address
// clients connect to.
func Serve(ctx context.Context, cfg Config, logger *slog.Logger, ready func(addr string)) error {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return fmt.Errorf("making kafka data directory: %w", err)
	}
	host, port, err := cfg.listen()
	if err != nil {
		return err
	}
	opts := []kfake.Opt{
		kfake.NumBrokers(1), kfake.Ports(port), kfake.DataDir(filepath.Join(cfg.Dir, "log")),
		kfake.ClusterID("foodflow-embedded"),
		kfake.ListenFn(func(network, address string) (net.Listener, error) {
			_, p, err := net.SplitHostPort(address)
			if err != nil {
				return nil, fmt.Errorf("splitting address: %w", err)
			}
			return (&net.ListenConfig{}).Listen(ctx, network, net.JoinHostPort(host, p))
		}),
		kfake.BrokerConfigs(map[string]string{
			"group.initial.rebalance.delay.ms": "0",
			// A plant that stands still for a month goes on where it stopped.
			"offsets.retention.minutes": strconv.Itoa(366 * 24 * 60),
			"message.max.bytes":         strconv.Itoa(4 << 20),
		}),
	}
	if cfg.Sync {
		opts = append(opts, kfake.SyncWrites())
	}
	cluster, err := kfake.NewCluster(opts...)
	if err != nil {
		return fmt.Errorf("starting embedded kafka: %w", err)
	}
	defer cluster.Close()
	addr := cluster.ListenAddrs()[0]
	if err := os.WriteFile(filepath.Join(cfg.Dir, portFile), []byte(strconv.Itoa(port)), 0o600); err != nil {
		return fmt.Errorf("remembering port: %w", err)
	}
	logger.Info("embedded kafka ready", "addr", addr, "dir", cfg.Dir)
	ready(addr)
	<-ctx.Done()
	return nil
}

// listen settles the host and port.
func (c Config) listen() (string, int, error) {
	host, p, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return "", 0, fmt.Errorf("reading kafka address %q: %w", c.Addr, err)
	}
	port, err := strconv.Atoi(p)
	if err != nil {
		return "", 0, fmt.Errorf("reading kafka port %q: %w", p, err)
	}
	if port != 0 {
		return host, port, nil
	}
	if b, err := os.ReadFile(filepath.Join(c.Dir, portFile)); err == nil {
		if old, err := strconv.Atoi(string(b)); err == nil && free(host, old) {
			return host, old, nil
		}
	}
	// Not one that the kernel may give to an outgoing connection while the broker is
	// away: its clients could not come back to it.
	port, err = lifecycle.FreePort(host)
	return host, port, err
}

func free(host string, port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))) //nolint:noctx // loopback, at once
	if err != nil {
		return false
	}
	return l.Close() == nil
}
