package letter

import (
	"context"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// Door gives what a letter holds, as the messages that go to Kafka, always in the
// same order. A letter that still can't be taken is a Refused error; any other
// error means "not now".
type Door func(ctx context.Context, d *schemas.DeadLetter) ([]broker.Message, error)

// Refused says that a letter can't be taken as things are.
func Refused(err error) bool {
	switch fault.KindOf(err) {
	case fault.Invalid, fault.BadRequest, fault.NotFound, fault.Forbidden, fault.TooLarge:
		return true
	default:
		return false
	}
}

// Decoder reads what letters of the program's topics hold; schemas.Codec is one.
type Decoder interface {
	DecodeReading(frame []byte, r *plant.Reading) error
	DecodeLineEvent(frame []byte, e *plant.LineEvent) error
	DecodeKeyUse(frame []byte, u *schemas.KeyUse) error
}

// Topics is the door of letters that stood on a topic: the record as it was, to
// where it was. It takes what can be read and belongs to a tenant that admits
// says may send: a record of a tenant that is gone would bring back rows of which
// its report says that there are none.
func Topics(dec Decoder, admits func(tenant plant.ID) error) Door {
	return func(_ context.Context, d *schemas.DeadLetter) ([]broker.Message, error) {
		if d.Partition < 0 || d.Value == nil {
			return nil, fault.New(fault.BadRequest, "there is no topic to go back to, or no record")
		}
		tenant, err := owner(dec, d.Topic, *d.Value)
		if err != nil {
			return nil, err
		}
		if err := admits(tenant); err != nil {
			return nil, err
		}
		m := broker.Message{Topic: d.Topic, Value: *d.Value}
		if d.Key != nil {
			m.Key = *d.Key
		}
		return []broker.Message{m}, nil
	}
}

func owner(dec Decoder, topic string, value []byte) (tenant plant.ID, err error) {
	switch topic {
	case broker.TopicReadings:
		var r plant.Reading
		err, tenant = dec.DecodeReading(value, &r), r.Tenant
	case broker.TopicLineEvents:
		var e plant.LineEvent
		err, tenant = dec.DecodeLineEvent(value, &e), e.Tenant
	case broker.TopicKeyUses:
		var u schemas.KeyUse
		err, tenant = dec.DecodeKeyUse(value, &u), u.Tenant
	default:
		return tenant, fault.New(fault.BadRequest, "%s is no topic that letters go back to", topic)
	}
	if err != nil && schemas.Reason(err) != "" {
		return tenant, &fault.Error{Kind: fault.Invalid, Detail: "the record still can't be read", Cause: err}
	}
	return tenant, err
}
