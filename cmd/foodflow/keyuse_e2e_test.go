package main_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/directory"
)

// TestUseOfKeysShows makes keys and uses one by HTTP, one by MQTT, on one
// connection for more than a minute, one by the API, and one not at all. Each
// use shows at the key within a minute; the key's ETag stays.
func TestUseOfKeysShows(t *testing.T) {
	in := install(t)
	in.start()
	admin := in.login(in.Email, in.Password)
	keys := in.API + "/api/v1/api-keys"
	made := map[string]*caller{}
	ids := map[string]string{}
	for _, name := range []string{"http", "mqtt", "api", "unused"} {
		k := admin.do("POST", keys, map[string]any{"name": name, "scopes": []string{"ingest", "read"}}, http.StatusCreated)
		made[name], ids[name] = &caller{in: in, key: fmt.Sprint(k["key"])}, fmt.Sprint(k["id"])
	}
	last := func(name string) time.Time {
		k := admin.do("GET", keys+"/"+ids[name], nil, http.StatusOK)
		if v := fmt.Sprint(k["version"]); v != "1" {
			t.Fatalf("the key %s is at version %s", name, v)
		}
		text, _ := k["last_used_at"].(string)
		at, _ := time.Parse(time.RFC3339, text) // zero: not yet
		return at
	}
	began := time.Now().Add(-time.Second)
	shows := func(name string, since time.Time) {
		t.Helper()
		took := in.until("the use of "+name+" shows", func() bool {
			time.Sleep(50 * time.Millisecond)
			return last(name).After(since)
		})
		t.Logf("use by %s shows after %v", name, took.Round(time.Millisecond))
	}
	in.until("the key is known", func() bool { return made["http"].sends(sensors[0], time.Now(), 1) == http.StatusAccepted })
	shows("http", began)
	in.everybodyKnows()
	made["api"].do("GET", in.API+"/api/v1/auth/me", nil, http.StatusOK)
	shows("api", began)
	c := in.mqttWith(made["mqtt"].key, "gateway")
	if c == nil {
		t.Fatal("MQTT refuses the key")
	}
	shows("mqtt", began)
	// What follows comes on the same connection: the log-in is not seen again.
	first := last("mqtt")
	for time.Since(first) < directory.UseEvery+time.Second {
		if token := c.Publish("ff/v1/demo/"+sensors[1], 1, false, "231.5"); !token.WaitTimeout(time.Minute) || token.Error() != nil {
			t.Fatal("no PUBACK: ", token.Error())
		}
		time.Sleep(500 * time.Millisecond)
	}
	if !last("unused").IsZero() || !last("http").Before(first.Add(directory.UseEvery)) {
		t.Errorf("unused was used at %v, http, which rests, at %v", last("unused"), last("http"))
	}
	shows("mqtt", first)
	c.Disconnect(0)
	in.stop()
}
