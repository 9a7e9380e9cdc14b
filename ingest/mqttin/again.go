package mqttin

import (
	"bytes"
	"strings"
	"unsafe"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/schemas"
)

// letterPrefix stands before the MQTT topic in the dead letters of this door.
const letterPrefix = "mqtt:"

// IsLetter reports whether a dead letter is one of this door's.
func IsLetter(d *schemas.DeadLetter) bool { return strings.HasPrefix(d.Topic, letterPrefix) }

// Messages gives what a dead letter of this door holds, once its cause is mended:
// as the message that it was, at the time at which it came, always in the same
// order. A letter that still can't be taken gives the fault.
func Messages(svc *ingest.Service, d *schemas.DeadLetter) ([]broker.Message, error) {
	at, ok := parseTopic(strings.TrimPrefix(d.Topic, letterPrefix))
	if !ok || d.Value == nil {
		return nil, fault.New(fault.BadRequest, "there is no message in the letter")
	}
	tenant, ok := svc.TenantByKey(at.tenant)
	if !ok {
		return nil, fault.New(fault.NotFound, "there is no tenant %s", at.tenant)
	}
	if err := svc.Admits(tenant); err != nil {
		return nil, err
	}
	b := svc.BeginKept(tenant, at.kind, d.TS, d.ID)
	defer svc.End(b)
	name := unsafe.Slice(unsafe.StringData(at.name), len(at.name))
	if err := b.AddMessage(at.kind, name, *d.Value); err != nil {
		return nil, err
	}
	out := make([]broker.Message, b.Len())
	for i := range out {
		key, value := b.Record(i)
		out[i] = broker.Message{Topic: at.kind.Topic(), Key: bytes.Clone(key[:]), Value: bytes.Clone(value)}
	}
	return out, nil
}
