package tenancy

import (
	"bytes"
	"maps"
	"strings"

	"github.com/foodflow/foodflow/internal/broker"
)

// recount fills in what is left in each store.
func (e *erasure) recount() error {
	p := &e.Report
	schema, role, err := e.Schemas.Left(e.ctx, e.id)
	if err != nil {
		return err
	}
	p.Postgres.SchemaGone, p.Postgres.RoleGone = !schema, !role
	counts, err := e.Store.Count(e.ctx, e.id)
	if err != nil {
		return err
	}
	after(p.Postgres.Tables, counts)
	if counts, err = e.Store.CountShared(e.ctx, e.id); err != nil {
		return err
	}
	after(p.Postgres.Shared, counts)
	tables, err := e.Rows.Tables(e.ctx)
	if err != nil {
		return err
	}
	counts = map[string]int64{}
	for _, t := range tables {
		if counts[t], err = e.Rows.Left(e.ctx, t, e.id); err != nil {
			return err
		}
	}
	after(p.ClickHouse.Tables, counts)
	if p.Kafka.Directory.After, err = e.entries(); err != nil {
		return err
	}
	p.Kafka.State.After, err = e.stateRecords()
	return err
}

// after enters what is left; what is no longer there holds nothing.
func after(into map[string]Removed, counts map[string]int64) {
	for k, r := range into {
		r.After = counts[k]
		into[k] = r
	}
	for k, n := range counts {
		r := into[k]
		r.After = n
		into[k] = r
	}
}

// entries counts the directory's entries of the tenant that are in force, by
// reading the topic from its start.
func (e *erasure) entries() (n int64, err error) {
	infix := "/" + e.id.String() + "/"
	live := map[string]bool{}
	err = e.Log.Each(e.ctx, broker.TopicDirectory, func(_ int32, key, value []byte) error {
		if k := string(key); strings.Contains(k, infix) {
			live[k] = value != nil
		}
		return nil
	})
	maps.DeleteFunc(live, func(_ string, is bool) bool { return !is })
	return int64(len(live)), err
}

// stateRecords counts the records of processors' state that name the tenant: the
// state of each sensor and line has its tenant's id as it is. A state is cut
// into records anywhere, so an id may lie across two.
func (e *erasure) stateRecords() (n int64, err error) {
	tails := map[int32][]byte{}
	err = e.Log.Each(e.ctx, broker.TopicProcessorState, func(p int32, _, value []byte) error {
		text := append(tails[p], value[min(len(value), e.StateHead):]...)
		if bytes.Contains(text, e.id[:]) {
			n++
		}
		tails[p] = bytes.Clone(text[max(0, len(text)-len(e.id)+1):])
		return nil
	})
	return n, err
}

// ageing says by when the last of the tenant's records is gone from each topic.
func (e *erasure) ageing() error {
	topics := []string{
		broker.TopicReadings, broker.TopicLineEvents, broker.TopicAnomalies, broker.TopicOEE, broker.TopicEvents,
		broker.TopicDeadLetters, broker.TopicDirectory, broker.TopicKeyUses,
	}
	kept, err := e.Log.Keeping(e.ctx, topics...)
	if err != nil {
		return err
	}
	e.Report.Kafka.Topics = nil
	for _, k := range kept {
		g := TopicGone{Keeping: k}
		if k.Longest > 0 {
			by := e.Report.EndedAt.Add(k.Longest)
			g.GoneBy = &by
		}
		e.Report.Kafka.Topics = append(e.Report.Kafka.Topics, g)
	}
	return nil
}
