package bench

import (
	"context"
	"fmt"
	"os"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/kafkaout"
	"github.com/foodflow/foodflow/internal/broker"
	kafkaembedded "github.com/foodflow/foodflow/internal/broker/embedded"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// bed is what most benchmarks stand on: a broker in this process with empty
// topics, and the codec.
type bed struct {
	kafka broker.Config
	codec *schemas.Codec
	stop  func()
}

func newBed(ctx context.Context, e Env) (*bed, error) {
	codec, err := schemas.NewStaticCodec()
	if err != nil {
		return nil, err
	}
	kafka, stop, err := startKafka(ctx, e)
	if err != nil {
		return nil, err
	}
	b := &bed{kafka, codec, stop}
	cl, err := broker.Client(kafka)
	if err == nil {
		err = broker.EnsureTopics(ctx, cl, benchPartitions)
		cl.Close()
	}
	if err != nil {
		stop()
		return nil, err
	}
	return b, nil
}

// startKafka runs an empty embedded broker in this process.
func startKafka(ctx context.Context, e Env) (broker.Config, func(), error) {
	dir, err := os.MkdirTemp(e.Dir, "kafka-")
	if err != nil {
		return broker.Config{}, nil, fmt.Errorf("making folder: %w", err)
	}
	own, cancel := context.WithCancel(ctx)
	addr, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- kafkaembedded.Serve(own, kafkaembedded.Config{Dir: dir, Addr: "127.0.0.1:0"}, e.Logger, func(a string) { addr <- a })
	}()
	cfg := broker.DefaultConfig()
	select {
	case a := <-addr:
		cfg.Brokers = []string{a}
	case err := <-ended:
		cancel()
		return cfg, nil, err
	}
	return cfg, func() { cancel(); <-ended }, nil
}

// service is what stands behind ingest's doors, for the demo plant; key opens
// them. The caller closes out.
func (b *bed) service() (svc *ingest.Service, out *kafkaout.Out, key string, err error) {
	store, key, err := demoDirectory()
	if err != nil {
		return nil, nil, "", err
	}
	if out, err = kafkaout.New(b.kafka, kafkaout.DefaultConfig()); err != nil {
		return nil, nil, "", err
	}
	svc, err = ingest.NewService(store, b.codec, out, ingest.DefaultLimits(), nil)
	return svc, out, key, err
}

// demoDirectory is the demo plant with a key of its own.
func demoDirectory() (*directory.Store, string, error) {
	p := demo.Describe()
	things := []any{p.Tenant}
	for _, l := range p.Lines {
		things = append(things, l.Line)
		for _, s := range l.Sensors {
			things = append(things, s.Sensor)
		}
	}
	return directoryOf(p.Tenant.ID, things)
}

// directoryOf is a directory of things, and a key to everything of the tenant.
func directoryOf(tenant plant.ID, things []any) (*directory.Store, string, error) {
	store, key := directory.NewStore(), directory.NewKey()
	things = append(things, directory.APIKey{ID: plant.NewID(), Tenant: tenant, Public: key.Public, Hash: key.Hash(), Scopes: directory.Scopes()})
	for _, x := range things {
		entry, err := directory.EntryOf(1, x)
		if err != nil {
			return nil, "", err
		}
		if err := store.Apply(&entry); err != nil {
			return nil, "", err
		}
	}
	return store, key.Reveal(), nil
}

// rounds is how often a figure and its bare loop are measured, in turn, so that
// a drifting machine hits both.
const rounds = 3

// inTurn gives the medians of readings a second.
func inTurn(bare, ours func() (float64, error)) (Result, error) {
	var theirs, mine []float64
	for range rounds {
		b, err := bare()
		if err != nil {
			return Result{}, fmt.Errorf("bare loop: %w", err)
		}
		o, err := ours()
		if err != nil {
			return Result{}, err
		}
		theirs, mine = append(theirs, b), append(mine, o)
	}
	return against(median(mine), median(theirs), "readings/s", ">= 0.6"), nil
}
