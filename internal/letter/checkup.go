package letter

import (
	"context"
	"fmt"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/doctor"
	"github.com/foodflow/foodflow/schemas"
)

// countable is how many records the checkup reads at most.
const countable = 200_000

// Checkup looks at what waits as dead letters. Without a codec, which open gives,
// it can't tell letters from marks, nor which wait; nil says that there is none.
func Checkup(cfg broker.Config, open func(ctx context.Context) (Codec, error)) doctor.Check {
	return doctor.Check{Name: "kafka.dead_letters", Run: func(ctx context.Context) []doctor.Finding {
		found, err := look(ctx, cfg, open)
		if err != nil {
			return doctor.Unreachable(err, "see that the brokers and the registry run and that kafka.brokers, registry.url, TLS and SASL are right")
		}
		return found
	}}
}

func look(ctx context.Context, cfg broker.Config, open func(ctx context.Context) (Codec, error)) ([]doctor.Finding, error) {
	cl, err := broker.Client(cfg)
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	log := broker.NewLog(cfg, cl)
	n, err := log.Holds(ctx, broker.TopicDeadLetters)
	if err != nil {
		return nil, err
	}
	waiting, doubtful, bound := 0, 0, ""
	switch {
	case n == 0:
	case open == nil || n > countable:
		waiting, bound = int(n), "up to "
	default:
		codec, err := open(ctx)
		if err != nil {
			return nil, err
		}
		err = NewReader(log, codec).Each(ctx, func(_ *schemas.DeadLetter, f Fate) error {
			switch f.State {
			case Waiting:
				waiting++
			case Claimed:
				doubtful++
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if waiting+doubtful == 0 {
		return doctor.Fine("no dead letters wait"), nil
	}
	return []doctor.Finding{{
		Severity: doctor.Warning, What: fmt.Sprintf("%s%d dead letters wait, %d are in doubt from a replay that was broken off", bound, waiting, doubtful),
		Means: "accepted records could not be processed", Mend: "foodflow deadletters list; mend the cause, then foodflow deadletters replay",
	}}, nil
}
