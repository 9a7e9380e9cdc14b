package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/keyuse"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/schemas"
)

// tellUses starts to report the uses of keys that the role's doors see. It has a
// producer of its own: what waits there while Kafka is away is in nobody's way,
// and is given up at the end of the process.
func (r *role) tellUses(ctx context.Context, kafka broker.Config, dir *directory.Store, codec *schemas.Codec) error {
	cl, err := broker.Client(kafka, kgo.RecordDeliveryTimeout(5*time.Second))
	if err != nil {
		return err
	}
	reporter := keyuse.NewReporter(dir, codec, broker.NewProducer(cl), r.reg, r.logger)
	return r.start(ctx, "key uses", func(ctx context.Context) error {
		defer cl.Close()
		return reporter.Run(ctx)
	})
}

// keepUses starts to write down what all doors report.
func (c *apiCmd) keepUses(ctx context.Context, r *role, store *masterdata.Store, dir *directory.Store, codec *schemas.Codec, cl *kgo.Client) error {
	w := keyuse.NewWriter(store, codec, broker.NewProducer(cl), dir, r.reg, r.logger)
	return r.start(ctx, "use of keys", func(ctx context.Context) error {
		return broker.ReadGroup(ctx, c.Kafka.config(), keyuse.Group, keyuse.Topics(), r.logger, w.Handle, nil)
	})
}
