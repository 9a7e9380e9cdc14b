package main

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/annunciator"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/broker/brokertest"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/directory/directorytest"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// counted counts the transactions that alarms cost. Those of several tenants are
// counted at the same time.
type counted struct {
	masterdata.Alarms
	calls atomic.Int64
	alone bool // each word in a transaction of its own
}

func (c *counted) Hear(ctx context.Context, tenant plant.ID, words []masterdata.Word) (all masterdata.Heard, err error) {
	n := len(words)
	if c.alone {
		n = 1
	}
	for len(words) > 0 {
		c.calls.Add(1)
		h, err := c.Alarms.Hear(ctx, tenant, words[:n])
		if err != nil {
			return all, err
		}
		all.Names, all.Refused, words = append(all.Names, h.Names...), append(all.Refused, h.Refused...), words[n:]
	}
	return all, nil
}

// TestNoisyTenantHoldsUpNoAlarm (P24): thousands of words of one tenant's flapping
// sensor lie on a partition before the one of another's. They cost few transactions
// and leave few events, and the other's alarm is raised behind them. The control pays
// for each word.
func TestNoisyTenantHoldsUpNoAlarm(t *testing.T) {
	for name, c := range map[string]struct {
		noise int64
		alone bool
	}{
		"together":          {4000, false},
		"control: one each": {100, true},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMasters(t, time.Now)
			noisy, flaps := m.plant("noisy")
			victim, quiet := m.plant("victim")
			codec, err := schemas.NewStaticCodec()
			if err != nil {
				t.Fatal(err)
			}
			var records []broker.Record
			says := func(tenant, sensor plant.ID, offset int64, ended bool) {
				v, err := codec.AppendAnomaly(nil, &plant.Anomaly{
					ID: plant.NewID(), Tenant: tenant, Sensor: sensor, Kind: plant.AnomalyLimitHH, TS: offset + 1, Since: offset + 1, Ended: ended,
					TopicID: plant.NameID(plant.ID{}, "readings"), Offset: offset,
				})
				if err != nil {
					t.Fatal(err)
				}
				records = append(records, broker.Record{Topic: broker.TopicAnomalies, Value: v})
			}
			for i := range c.noise {
				says(noisy, flaps, i, i%2 == 1)
			}
			says(victim, quiet, c.noise, false)
			store := &counted{Alarms: m.Alarms(), alone: c.alone}
			dir := directorytest.Of(t, directory.Tenant{ID: noisy, Key: "noisy"}, directory.Tenant{ID: victim, Key: "victim"})
			bells := annunciator.New(store, codec, dir, nil, slog.New(slog.DiscardHandler))
			brokertest.Through(t, annunciator.Group, annunciator.Topics(), victim[:], records, bells.Handle)

			list, _, err := m.Alarms().List(t.Context(), victim, masterdata.AlarmFilter{Limit: 10})
			if err != nil || len(list) != 1 || list[0].State != "active" {
				t.Errorf("the other tenant's alarms: %d, %v", len(list), err)
			}
			if n := store.calls.Load(); c.alone != (n > c.noise/10) {
				t.Errorf("%d transactions for %d records", n, len(records))
			}
			list, _, err = m.Alarms().List(t.Context(), noisy, masterdata.AlarmFilter{Limit: 10})
			if err != nil || len(list) != 1 || list[0].Occurrences != c.noise/2 {
				t.Fatalf("the noisy one's: %d, %v", len(list), err)
			}
			// A slow run may take some minutes, of ten events and some more each.
			events, more, err := m.Events(t.Context(), noisy, masterdata.EventFilter{Aggregate: list[0].ID, Limit: 100})
			if err != nil || more || len(events) < 10 {
				t.Errorf("%d events, more %v, %v", len(events), more, err)
			}
		})
	}
}
