package annunciator

import (
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/plant"
)

// TestExcursionAfterAFastClock: the sensor's clock was fast in one excursion and right
// in the next, which the alarm must show, also when all is read again. The control is
// what processors wrote that named no place.
func TestExcursionAfterAFastClock(t *testing.T) {
	for name, c := range map[string]struct {
		topic plant.ID
		want  string
	}{
		"placed":              {plant.NameID(plant.ID{}, "readings"), "limit_hh Raised; limit_hh Cleared; limit_hh Raised"},
		"control: not placed": {plant.ID{}, "limit_hh Raised; limit_hh Cleared"},
	} {
		a, m, codec := fixture(t)
		var records []broker.Record
		for i, ts := range []int64{541_000, 542_000, 5_000} {
			v, err := codec.AppendAnomaly(nil, &plant.Anomaly{
				ID: plant.NewID(), Tenant: tenant, Line: line, Sensor: sensor, Kind: plant.AnomalyLimitHH, TS: ts, Since: ts, Ended: i == 1,
				TopicID: c.topic, Partition: 3, Offset: int64(i),
			})
			if err != nil {
				t.Fatal(err)
			}
			records = append(records, broker.Record{Topic: broker.TopicAnomalies, Offset: int64(i), Value: v})
		}
		for range 2 {
			if err := a.Handle(t.Context(), records); err != nil {
				t.Fatal(err)
			}
		}
		if got := strings.Join(m.log, "; "); got != c.want {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestStatesAreToldWithTheBrokersTime: the store needs it where a line's clock is fast.
func TestStatesAreToldWithTheBrokersTime(t *testing.T) {
	a, m, codec := fixture(t)
	r := state(codec, plant.StateCIP, 541_000)
	r.TS = 1_500
	if err := a.Handle(t.Context(), []broker.Record{r}); err != nil {
		t.Fatal(err)
	}
	if m.at != 541_000 || m.received != 1_500 {
		t.Errorf("told of %d, received %d", m.at, m.received)
	}
}
