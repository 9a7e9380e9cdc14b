package api

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/api/live"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// TestPeopleAreWithheld: users and API keys, and what events and the live stream tell
// of them, come to admins and managers only; everyone may see who they are
// themselves. Those who may are the control: they find it in the same answers.
func TestPeopleAreWithheld(t *testing.T) {
	s := newStage(t, func(*Config, *live.Config) {})
	token := s.admin()
	user := demo.ID("user", demo.AdminEmail)
	key := s.call(token, "GET", "/api/v1/api-keys?limit=1", nil).want(t, 200).json(t)["items"].([]any)[0].(map[string]any)["id"].(string)
	callers, readers := s.callers(demo.TenantID(), "demo.example"), 0
	for _, c := range callers {
		sees := slices.Contains(c.roles, masterdata.RoleAdmin) || slices.Contains(c.roles, masterdata.RoleManager)
		for _, path := range []string{usersPath, usersPath + "/" + user.String(), "/api/v1/api-keys", "/api/v1/api-keys/" + key} {
			if a := s.call(c.credential, "GET", path, nil); (a.status == http.StatusOK) != sees || !sees && a.status != http.StatusForbidden {
				t.Errorf("GET %s by %s: %d", path, c.name, a.status)
			}
		}
		s.call(c.credential, "GET", "/api/v1/auth/me", nil).want(t, 200)
		if slices.Contains(c.roles, masterdata.RoleIngest) {
			s.call(c.credential, "GET", "/api/v1/events", nil).want(t, 403)
			s.call(c.credential, "GET", streamPath, nil).want(t, 403)
			continue
		}
		readers++
		for _, filter := range []string{"", "&aggregate_type=user", "&type=UserCreated", "&aggregate_id=" + user.String(), "&aggregate_type=api_key"} {
			a := s.call(c.credential, "GET", "/api/v1/events?limit=1000"+filter, nil).want(t, 200)
			told := strings.Contains(string(a.body), `"aggregate_type":"user"`) || strings.Contains(string(a.body), `"aggregate_type":"api_key"`)
			if told != sees || strings.Contains(string(a.body), demo.AdminEmail) && !sees {
				t.Errorf("events%s tell %s of people: %v", filter, c.name, told)
			}
			if filter == "" && !strings.Contains(string(a.body), `"LineCreated"`) {
				t.Errorf("%s is not told of lines", c.name)
			}
		}
		l := s.listen(c.credential, "?kinds=event")
		start := l.last
		for _, aggregate := range []string{"user", "api_key", "batch"} {
			s.happens(user, aggregate)
		}
		for _, aggregate := range []string{"user", "api_key", "batch"} {
			if aggregate != "batch" && !sees {
				continue
			}
			if e := l.next("event"); !strings.Contains(e.data, `"aggregate_type":"`+aggregate+`"`) {
				t.Errorf("%s hears %s, want that of a %s", c.name, e.data, aggregate)
			}
		}
		// What is made up for who comes back is held to the same.
		back := s.listen(c.credential, "?kinds=event", "Last-Event-ID", start)
		if e := back.next("event"); strings.Contains(e.data, `"aggregate_type":"user"`) != sees {
			t.Errorf("%s, come back, hears %s", c.name, e.data)
		}
	}
	if readers != 6 {
		t.Errorf("%d of %d callers read", readers, len(callers))
	}
}

// happens publishes an event of a thing.
func (s *stage) happens(id plant.ID, aggregate string) {
	s.t.Helper()
	v, err := s.codec.AppendDomainEvent(nil, &schemas.DomainEvent{ID: plant.NewID(), Type: "X", Tenant: demo.TenantID(), AggregateType: aggregate, Aggregate: id, Seq: 1, TS: 9, Actor: "system", Data: `{"email":"x@demo.example"}`})
	must(s.t, err)
	s.publish(broker.TopicEvents, id, v)
}
