package apache

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/foodflow/foodflow/internal/lifecycle"
)

// Cluster is a running Kafka.
type Cluster struct {
	brokers []*lifecycle.Process
	addrs   []string
}

// clusterID is any base64 of 16 bytes.
const clusterID = "Zm9vZGZsb3ctdGVzdC1pZA"

// Start formats n data directories under dir, starts n brokers and waits until
// each answers.
func Start(ctx context.Context, lib, dir string, n int, log io.Writer, logger *slog.Logger) (*Cluster, error) {
	asked := map[string]string{}
	for i := range n {
		asked[fmt.Sprint("broker", i)] = "127.0.0.1:0"
		asked[fmt.Sprint("controller", i)] = "127.0.0.1:0"
	}
	addrs, err := lifecycle.Ports(dir, asked)
	if err != nil {
		return nil, err
	}
	c := &Cluster{}
	var voters []string
	for i := range n {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, addrs[fmt.Sprint("controller", i)]))
		c.addrs = append(c.addrs, addrs[fmt.Sprint("broker", i)])
	}
	for i := range n {
		conf, err := configure(ctx, lib, dir, i, n, c.addrs[i], addrs[fmt.Sprint("controller", i)], strings.Join(voters, ","))
		if err != nil {
			return nil, err
		}
		addr := c.addrs[i]
		c.brokers = append(c.brokers, &lifecycle.Process{
			Name: fmt.Sprint("kafka-", i+1), Path: "java", Log: log, Logger: logger,
			Args: []string{"-Xmx512m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", filepath.Join(lib, "*"), "kafka.Kafka", conf},
			Probe: func(ctx context.Context) error {
				conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
				if err != nil {
					return err
				}
				return conn.Close()
			},
		})
	}
	// Brokers of a quorum wait for one another, so they start together.
	errs := make(chan error, n)
	for _, p := range c.brokers {
		go func() { errs <- p.Start(ctx) }()
	}
	for range n {
		if err := <-errs; err != nil {
			return nil, err
		}
	}
	return c, nil
}

// configure writes a broker's properties and formats its directory.
func configure(ctx context.Context, lib, dir string, i, n int, broker, controller, voters string) (string, error) {
	replicas := min(3, n)
	data := filepath.Join(dir, fmt.Sprint("data-", i+1))
	conf := filepath.Join(dir, fmt.Sprintf("broker-%d.properties", i+1))
	text := fmt.Sprintf(`process.roles=broker,controller
node.id=%d
controller.quorum.voters=%s
listeners=PLAINTEXT://%s,CONTROLLER://%s
advertised.listeners=PLAINTEXT://%s
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=%s
offsets.topic.replication.factor=%d
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=%d
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
`, i+1, voters, broker, controller, broker, data, replicas, replicas)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("writing broker properties: %w", err)
	}
	if _, err := os.Stat(filepath.Join(data, "meta.properties")); err == nil {
		return conf, nil
	}
	cmd := exec.CommandContext(ctx, "java", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error", "-cp", filepath.Join(lib, "*"), "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", conf)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("formatting the data directory of broker %d: %w: %s", i+1, err, bytes.TrimSpace(out))
	}
	return conf, nil
}

// Seeds are the brokers' addresses.
func (c *Cluster) Seeds() []string { return c.addrs }

// Kill sends SIGKILL to broker i (from 0); it is started again by itself.
func (c *Cluster) Kill(i int) error {
	if err := syscall.Kill(c.brokers[i].PID(), syscall.SIGKILL); err != nil {
		return fmt.Errorf("killing broker %d: %w", i+1, err)
	}
	return nil
}

// Stop ends all brokers at once: one that waits for a quorum would not end.
func (c *Cluster) Stop(ctx context.Context) error {
	errs := make(chan error, len(c.brokers))
	for _, p := range c.brokers {
		go func() { errs <- p.Stop(ctx) }()
	}
	var first error
	for range c.brokers {
		if err := <-errs; err != nil && first == nil {
			first = err
		}
	}
	return first
}
