package schemas

import (
	"fmt"

	"github.com/foodflow/foodflow/internal/plant"
)

// AppendAnomaly appends the frame of an anomaly.
func (c *Codec) AppendAnomaly(dst []byte, a *plant.Anomaly) ([]byte, error) {
	w := wireAnomaly{
		ID: a.ID, Tenant: a.Tenant, Line: a.Line, Sensor: a.Sensor, Kind: a.Kind.String(), TS: a.TS, Since: a.Since,
		Value: a.Value, Expected: a.Expected, Score: a.Score, Partition: a.Partition, Offset: a.Offset, Ended: a.Ended, Epoch: a.Epoch,
	}
	if !a.TopicID.IsZero() {
		w.TopicID = &a.TopicID
	}
	return c.append(dst, Anomaly, &w)
}

// DecodeAnomaly reads a frame into a.
func (c *Codec) DecodeAnomaly(frame []byte, a *plant.Anomaly) error {
	var w wireAnomaly
	if err := c.decode(frame, Anomaly, &w); err != nil {
		return err
	}
	k, ok := plant.ParseAnomalyKind(w.Kind)
	if !ok {
		return fmt.Errorf("%w: kind %q", ErrBody, w.Kind)
	}
	*a = plant.Anomaly{
		ID: w.ID, Tenant: w.Tenant, Line: w.Line, Sensor: w.Sensor, Kind: k, TS: w.TS, Since: w.Since,
		Value: w.Value, Expected: w.Expected, Score: w.Score, Partition: w.Partition, Offset: w.Offset, Ended: w.Ended, Epoch: w.Epoch,
	}
	if w.TopicID != nil {
		a.TopicID = *w.TopicID
	}
	return nil
}

// AppendOEEPart appends the frame of an OEE part.
func (c *Codec) AppendOEEPart(dst []byte, p *plant.OEEPart) ([]byte, error) {
	classes := make(map[string]int64, 4)
	for i, name := range plant.TimeClasses() {
		if p.TimeMS[i] != 0 {
			classes[name] = p.TimeMS[i]
		}
	}
	return c.append(dst, OEEPart, &wireOEEPart{
		Tenant: p.Tenant, Line: p.Line, Minute: p.Minute, Product: p.Product, Revision: int64(p.Revision), Unit: p.Unit, TimeMS: classes,
		PlannedBusyMS: p.PlannedBusyMS, RunMS: p.RunMS, IdealTotalMS: p.IdealTotalMS, IdealGoodMS: p.IdealGoodMS,
		Total: p.Total, Good: p.Good, Scrap: p.Scrap, StartupScrap: p.StartupScrap, Rework: p.Rework, Policy: int64(p.Policy),
	})
}

// DecodeOEEPart reads a frame into p.
func (c *Codec) DecodeOEEPart(frame []byte, p *plant.OEEPart) error {
	var w wireOEEPart
	if err := c.decode(frame, OEEPart, &w); err != nil {
		return err
	}
	if w.Revision < 0 || w.Revision > 1<<32-1 || w.Policy < 0 || w.Policy > 1<<32-1 {
		return fmt.Errorf("%w: revision or policy out of range", ErrBody)
	}
	*p = plant.OEEPart{
		Tenant: w.Tenant, Line: w.Line, Minute: w.Minute, Product: w.Product, Revision: uint32(w.Revision), Unit: w.Unit,
		PlannedBusyMS: w.PlannedBusyMS, RunMS: w.RunMS, IdealTotalMS: w.IdealTotalMS, IdealGoodMS: w.IdealGoodMS,
		Total: w.Total, Good: w.Good, Scrap: w.Scrap, StartupScrap: w.StartupScrap, Rework: w.Rework, Policy: uint32(w.Policy),
	}
	for i, name := range plant.TimeClasses() {
		p.TimeMS[i] = w.TimeMS[name]
	}
	return nil
}

// AppendDeadLetter appends the frame of a dead letter.
func (c *Codec) AppendDeadLetter(dst []byte, d *DeadLetter) ([]byte, error) {
	if d.Headers == nil {
		d.Headers = []Header{}
	}
	return c.append(dst, DeadLetterName, d)
}

// DecodeDeadLetter reads a frame into d.
func (c *Codec) DecodeDeadLetter(frame []byte, d *DeadLetter) error {
	*d = DeadLetter{}
	return c.decode(frame, DeadLetterName, d)
}

// AppendDomainEvent appends the frame of a domain event.
func (c *Codec) AppendDomainEvent(dst []byte, e *DomainEvent) ([]byte, error) {
	return c.append(dst, EventName, e)
}

// DecodeDomainEvent reads a frame into e.
func (c *Codec) DecodeDomainEvent(frame []byte, e *DomainEvent) error {
	*e = DomainEvent{}
	return c.decode(frame, EventName, e)
}

// AppendDirectoryEntry appends the frame of a directory entry.
func (c *Codec) AppendDirectoryEntry(dst []byte, e *DirectoryEntry) ([]byte, error) {
	return c.append(dst, DirectoryName, e)
}

// DecodeDirectoryEntry reads a frame into e.
func (c *Codec) DecodeDirectoryEntry(frame []byte, e *DirectoryEntry) error {
	*e = DirectoryEntry{}
	return c.decode(frame, DirectoryName, e)
}

// AppendKeyUse appends the frame of a key's use.
func (c *Codec) AppendKeyUse(dst []byte, u *KeyUse) ([]byte, error) {
	return c.append(dst, KeyUseName, u)
}

// DecodeKeyUse reads a frame into u.
func (c *Codec) DecodeKeyUse(frame []byte, u *KeyUse) error {
	*u = KeyUse{}
	if err := c.decode(frame, KeyUseName, u); err != nil {
		return err
	}
	return checkTS(u.TS)
}
