package broker

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/foodflow/foodflow/internal/tlsconf"
)

// Config says how to reach Kafka.
type Config struct {
	// Brokers are seed addresses, host:port.
	Brokers []string
	// Partitions is how many partitions lines are spread over when the topics
	// are created; it bounds how many processors can share the work.
	Partitions int32
	TLS        bool
	// TLSFiles are what TLS trusts and shows; set, they switch it on.
	TLSFiles tlsconf.Client
	// Mechanism is "", "PLAIN", "SCRAM-SHA-256" or "SCRAM-SHA-512".
	Mechanism string
	User      string
	Password  string
	ClientID  string
	// Dial, when set, opens connections in place of net.Dialer: the way to
	// brokers that can't be reached at the addresses they give.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// DefaultConfig has no brokers; an empty list means the embedded engine to
// whoever starts one.
func DefaultConfig() Config { return Config{Partitions: 8, ClientID: "foodflow"} }

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if len(c.Brokers) == 0 {
		errs = append(errs, errors.New("kafka.brokers: must not be empty"))
	}
	errs = append(errs, c.TLSFiles.Validate("kafka.tls"))
	if c.Dial != nil && c.secure() {
		errs = append(errs, errors.New("kafka.dial: brings its own TLS"))
	}
	if c.Partitions < 1 || c.Partitions > 1024 {
		errs = append(errs, errors.New("kafka.partitions: must be between 1 and 1024"))
	}
	if _, err := c.mechanism(); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (c Config) secure() bool { return c.TLS || c.TLSFiles.Enabled() }

func (c Config) mechanism() (sasl.Mechanism, error) {
	switch c.Mechanism {
	case "":
		return nil, nil
	case "PLAIN":
		return plain.Auth{User: c.User, Pass: c.Password}.AsMechanism(), nil
	case "SCRAM-SHA-256":
		return scram.Auth{User: c.User, Pass: c.Password}.AsSha256Mechanism(), nil
	case "SCRAM-SHA-512":
		return scram.Auth{User: c.User, Pass: c.Password}.AsSha512Mechanism(), nil
	}
	return nil, fmt.Errorf("kafka.mechanism: %q is not one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512", c.Mechanism)
}

// Client opens a client. It connects on first use.
func Client(c Config, more ...kgo.Opt) (*kgo.Client, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	opts := []kgo.Opt{kgo.SeedBrokers(c.Brokers...), kgo.ClientID(c.ClientID), kgo.ProducerBatchMaxBytesFn(maxBatch)}
	if c.Dial != nil {
		opts = append(opts, kgo.Dialer(c.Dial))
	}
	if c.secure() {
		t, err := c.TLSFiles.Config()
		if err != nil {
			return nil, fmt.Errorf("opening kafka client: %w", err)
		}
		opts = append(opts, kgo.DialTLSConfig(t))
	}
	m, err := c.mechanism()
	if err != nil {
		return nil, err
	}
	if m != nil {
		opts = append(opts, kgo.SASL(m))
	}
	cl, err := kgo.NewClient(append(opts, more...)...)
	if err != nil {
		return nil, fmt.Errorf("opening kafka client: %w", err)
	}
	return cl, nil
}

// Opener gives the function that opens clients of c, for packages that add
// options of their own.
func Opener(c Config) func(...kgo.Opt) (*kgo.Client, error) {
	return func(more ...kgo.Opt) (*kgo.Client, error) { return Client(c, more...) }
}
