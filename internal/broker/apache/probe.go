package apache

import (
	"context"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
)

const (
	// probeTimeout bounds one question to a broker that starts.
	probeTimeout = 2 * time.Second
	// joinTimeout bounds the time until all brokers know one another.
	joinTimeout = 60 * time.Second
	// stopLimit bounds the end of brokers after a start that failed.
	stopLimit = 20 * time.Second
)

// registered asks the broker at addr, and none other, for the cluster as it
// knows it, and returns nil when that has n brokers, itself among them, and a
// controller. A port that accepts connections says less: a broker listens
// before it is let in.
func (c Config) registered(ctx context.Context, addr string, n int) error {
	cfg := broker.DefaultConfig()
	cfg.Brokers = []string{addr}
	if c.TLS != nil {
		cfg.TLSFiles = c.TLS.Probe
	}
	cl, err := broker.Client(cfg, kgo.RequestRetries(0), kgo.RetryTimeout(probeTimeout), kgo.DialTimeout(probeTimeout))
	if err != nil {
		return err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	meta, err := kadm.NewClient(cl).BrokerMetadata(ctx)
	if err != nil {
		return fmt.Errorf("asking the broker at %s: %w", addr, err)
	}
	self := slices.ContainsFunc(meta.Brokers, func(b kgo.BrokerMetadata) bool {
		return net.JoinHostPort(b.Host, fmt.Sprint(b.Port)) == addr
	})
	if len(meta.Brokers) < n || !self || meta.Controller < 0 {
		return fmt.Errorf("the broker at %s knows %d of %d brokers", addr, len(meta.Brokers), n)
	}
	return nil
}

// await returns when every broker knows all.
func (c *Cluster) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, joinTimeout)
	defer cancel()
	for _, addr := range c.addrs {
		for {
			err := c.cfg.registered(ctx, addr, len(c.addrs))
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return err
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	return nil
}
