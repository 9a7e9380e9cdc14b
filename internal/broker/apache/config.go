package apache

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/foodflow/foodflow/internal/tlsconf"
)

// Config places a cluster.
type Config struct {
	// Lib is the folder of Kafka's jars that Install gives.
	Lib string
	// Dir holds the brokers' data, and their ports for the next start.
	Dir string
	// Brokers is how many there are; it must stay the same for a Dir.
	Brokers int
	// Addr is host:port of the first broker; port 0 takes the one of the last
	// start, or a free one the first time. The others get free ports.
	Addr string
	// HeapMiB bounds each broker's heap. Kafka keeps records in the page cache,
	// not there.
	HeapMiB int
	// TLS, when set, makes the brokers speak nothing else to clients and to one
	// another.
	TLS *TLS
}

// TLS are the brokers' files, all PEM. A client must show a certificate of CA.
type TLS struct {
	// Keystore holds the key (PKCS #8), then the certificate.
	Keystore string
	CA       string
	// Probe is what the cluster itself shows when it asks whether a broker
	// answers.
	Probe tlsconf.Client
}

// lines are the properties that TLS adds.
func (t *TLS) lines() string {
	return "ssl.keystore.type=PEM\nssl.keystore.location=" + t.Keystore + "\nssl.truststore.type=PEM\nssl.truststore.location=" + t.CA +
		"\nssl.client.auth=required\nsecurity.inter.broker.protocol=SSL\n"
}

// DefaultConfig is one broker on loopback. 512 MiB of heap carried 1.9 M small
// records a second in and 4.4 M out; a broker's process then takes 465 MB.
func DefaultConfig() Config {
	return Config{Brokers: 1, Addr: "127.0.0.1:0", HeapMiB: 512}
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if c.Lib == "" {
		errs = append(errs, errors.New("kafka.lib: must not be empty"))
	}
	if c.Dir == "" {
		errs = append(errs, errors.New("kafka.dir: must not be empty"))
	}
	if c.Brokers < 1 || c.Brokers > 9 {
		errs = append(errs, errors.New("kafka.brokers: must be between 1 and 9 on one machine"))
	}
	if _, _, err := net.SplitHostPort(c.Addr); err != nil {
		errs = append(errs, fmt.Errorf("kafka.addr: must be host:port: %w", err))
	}
	if c.HeapMiB < 256 {
		errs = append(errs, errors.New("kafka.heap: must be 256 MiB or more"))
	}
	return errors.Join(errs...)
}

// data is the log directory of broker i, from 0.
func (c Config) data(i int) string { return filepath.Join(c.Dir, fmt.Sprint("data-", i+1)) }

// write writes the properties of broker i and gives their path.
func (c Config) write(i int, broker, controller string, voters []string) (string, error) {
	replicas := min(3, c.Brokers)
	// With fewer than three replicas a minimum of two would stop the cluster at
	// the first broker that restarts.
	isr := 1
	if replicas == 3 {
		isr = 2
	}
	text := strings.NewReplacer(
		"{id}", fmt.Sprint(i+1), "{voters}", strings.Join(voters, ","), "{broker}", broker, "{controller}", controller,
		"{data}", c.data(i), "{replicas}", fmt.Sprint(replicas), "{isr}", fmt.Sprint(isr),
	).Replace(properties)
	if c.TLS != nil {
		text = strings.ReplaceAll(text, "PLAINTEXT://", "SSL://")
		text = strings.ReplaceAll(text, "PLAINTEXT:PLAINTEXT", "SSL:SSL") + c.TLS.lines()
	}
	path := filepath.Join(c.Dir, fmt.Sprintf("broker-%d.properties", i+1))
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("writing broker properties: %w", err)
	}
	return path, nil
}

// properties are a broker's. min.insync.replicas also holds for the topic of
// consumers' offsets, which the commit law writes its pending ranges to: a
// commit that one broker alone holds would be lost with it. A broker's session
// of three seconds bounds how long the partitions of a killed one stand still;
// a group's first rebalance waits for nobody.

const properties = `process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://{broker},CONTROLLER://{controller}
advertised.listeners=PLAINTEXT://{broker}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
min.insync.replicas={isr}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=8
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={isr}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={isr}
group.initial.rebalance.delay.ms=0
offsets.retention.minutes=527040
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
`
