package mqttin

import (
	"context"
	"strings"
	"unsafe"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/schemas"
)

// letterPrefix stands before the MQTT topic in the dead letters of this door.
const letterPrefix = "mqtt:"

// IsLetter reports whether a dead letter is one of this door's.
func IsLetter(d *schemas.DeadLetter) bool { return strings.HasPrefix(d.Topic, letterPrefix) }

// Again takes a dead letter of this door in a second time, once its cause is
// mended, and returns when Kafka has it: as the message that it was, at the time
// at which it came. A letter that is taken in twice counts once, as far as
// copies are known at all. A letter that still can't be taken gives the fault.
func Again(ctx context.Context, svc *ingest.Service, d *schemas.DeadLetter) error {
	at, ok := parseTopic(strings.TrimPrefix(d.Topic, letterPrefix))
	if !ok || d.Value == nil {
		return fault.New(fault.BadRequest, "there is no message in the letter")
	}
	tenant, ok := svc.TenantByKey(at.tenant)
	if !ok {
		return fault.New(fault.NotFound, "there is no tenant %s", at.tenant)
	}
	b := svc.BeginKept(tenant, at.kind, d.TS, d.ID)
	defer svc.End(b)
	name := unsafe.Slice(unsafe.StringData(at.name), len(at.name))
	if err := b.AddMessage(at.kind, name, *d.Value); err != nil {
		return err
	}
	return svc.Publish(ctx, at.kind, b, false)
}
