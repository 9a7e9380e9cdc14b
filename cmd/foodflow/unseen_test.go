package main_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// unseen asks every route that reads for the things of the story as the admin of
// another tenant, and tries every door with its key.
func (s *story) unseen(gateway *person) {
	export := s.ana.want("202", "POST", s.in.API+"/api/v1/tenants/"+s.ana.id+"/export", "")
	s.ids["jobs"], _ = export["id"].(string)
	rival := s.second
	secrets := append(slices.Collect(maps.Values(s.ids)), "ana@acme.example", "Acme Foods", "jam-1")
	owner, asked := 0, 0
	paths, _ := rival.want("200", "GET", s.in.API+"/api/openapi.json", "")["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		if item, _ := paths[path].(map[string]any); item["get"] == nil || strings.HasSuffix(path, "/stream") { // has no end; TestStream
			continue
		}
		one := path
		if kind, _, ok := strings.Cut(path, "/{id}"); ok {
			kind = kind[strings.LastIndexByte(kind, '/')+1:]
			if s.ids[kind] == "" {
				s.t.Errorf("the story has no id for %s", path)
			}
			one = strings.Replace(path, "{id}", s.ids[kind], 1)
		}
		status, text := rival.ask("GET", s.in.API+one, "")
		asked++
		if one != path && status != "404" && !(strings.Contains(path, "/tenants/") && status == "403") { // for the installation's admins
			s.t.Errorf("the rival gets %s from %s: %s", status, one, text)
		}
		for _, x := range secrets {
			if strings.Contains(strings.ReplaceAll(text, one, ""), x) && path != "/api/openapi.json" {
				s.t.Errorf("%s tells the rival %q: %s", one, x, text)
			}
		}
		if status, _ := s.ana.ask("GET", s.in.API+one, ""); status == "200" && one != path {
			owner++ // the control: there is something to see
		}
	}
	s.t.Logf("%d routes asked by the rival; %d show the owner something", asked, owner)
	if owner < 18 {
		s.t.Errorf("only %d routes show the owner anything", owner)
	}
	s.doors(gateway)
}

// doors tries to send to the first tenant with the second one's key, by ids and
// by topics. A message of its own shows that the key is good.
func (s *story) doors(gateway *person) {
	ts := time.Now().UTC().Format(time.RFC3339Nano)
	for _, sensor := range []string{s.ids["sensors"], "kettle"} {
		gateway.want("422", "POST", s.in.Ingest+"/v1/readings", fmt.Sprintf(`{"readings":[{"sensor":%q,"ts":%q,"value":666}]}`, sensor, ts))
		gateway.want("404", "POST", s.ops+"sensors/"+sensor+"/readings", fmt.Sprintf(`{"ts":%q,"value":666}`, ts))
	}
	gateway.want("422", "POST", s.in.Ingest+"/v1/line-events", fmt.Sprintf(`{"events":[{"line":%q,"ts":%q,"type":"count","good":666,"unit":"jar"}]}`, s.ids["lines"], ts))
	for _, topic := range []string{"ff/v1/acme/kettle", "ff/v1/" + s.ana.id + "/kettle", "ff/v1/acme/" + s.ids["sensors"]} {
		if out, err := gateway.publish(topic, "666"); err == nil && out == "" {
			s.t.Errorf("the rival's message to %s is taken", topic)
		}
	}
	s.second.make("plant-ops/sensors", `{"key":"own","name":"Own","unit":"degC","kind":"temperature"}`)
	s.in.until("the rival's own message is taken", func() bool {
		out, err := gateway.publish("ff/v1/rival/own", "5")
		return err == nil && out == ""
	})
	s.in.until("and stored", func() bool { return len(s.second.items("plant-ops/sensors/own/readings?resolution=raw")) > 0 })
	if n := len(s.ana.items("plant-ops/sensors/kettle/readings?resolution=raw")); n != 3 {
		s.t.Errorf("the first tenant has %d readings, 3 are its own", n)
	}
}
