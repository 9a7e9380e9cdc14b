package main

import (
	"context"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/ingest/mqttin"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/letter"
	"github.com/foodflow/foodflow/schemas"
)

// lettersDoor takes letters in again: those of the MQTT door by its rules, all
// others as the records that they were. Both ask the directory, which the role's
// group follows.
func lettersDoor(ctx context.Context, r *role, kafka broker.Config, codec *schemas.Codec) (letter.Door, error) {
	store, err := r.follow(ctx, kafka, codec)
	if err != nil {
		return nil, err
	}
	// The service reads messages only; what publishes them is the replay.
	svc, err := ingest.NewService(store, codec, nil, ingest.DefaultLimits(), nil)
	if err != nil {
		return nil, err
	}
	topics := letter.Topics(codec, store.Admits)
	return func(ctx context.Context, d *schemas.DeadLetter) ([]broker.Message, error) {
		if mqttin.IsLetter(d) {
			return mqttin.Messages(svc, d)
		}
		return topics(ctx, d)
	}, nil
}
