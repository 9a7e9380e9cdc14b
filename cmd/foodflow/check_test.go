package main

import (
	"strings"
	"testing"
)

// A fault names the key that mends it.
func TestFaultsAreNamedByKeys(t *testing.T) {
	base := []string{"FOODFLOW_KAFKA_BROKERS=k:9092", "FOODFLOW_REGISTRY_URL=http://r:8081", "FOODFLOW_CLICKHOUSE_URL=http://c:8123", "FOODFLOW_POSTGRES_URL=postgres://u@p/d"}
	for variable, want := range map[string]string{
		"api FOODFLOW_HTTP_ADDR=x": "http_addr: ", "api FOODFLOW_ORIGINS=x": "origins: ", "api FOODFLOW_HTTP_READ_TIMEOUT=0s": "http.read_timeout: ",
		"api FOODFLOW_POSTGRES_CONNECTIONS=0": "postgres.connections: ", "api FOODFLOW_CLICKHOUSE_CONNECTIONS=-1": "clickhouse.connections: ",
		"processors FOODFLOW_GROUP=": "group: ", "processors FOODFLOW_SESSION_TIMEOUT=0s": "session_timeout: ",
		"ingest FOODFLOW_HTTP_TLS_CERT=x": "http.tls.cert, http.tls.key: ",
	} {
		role, set, _ := strings.Cut(variable, " ")
		ctx, err := program(t, append(append([]string{}, base...), set)...).Parse([]string{role})
		if err != nil {
			t.Fatal(variable, err)
		}
		if err := checkCommand(ctx); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v, want %s", variable, err, want)
		}
	}
}

// What up gives its children is a whole configuration to them: a fault that only
// a role's own check finds would keep it from starting.
func TestWholeRolesPassTheirChecks(t *testing.T) {
	common := []string{"FOODFLOW_KAFKA_BROKERS=k:9092", "FOODFLOW_REGISTRY_URL=http://r:8081", "FOODFLOW_CLICKHOUSE_URL=http://c:8123", "FOODFLOW_POSTGRES_URL=postgres://u@p/d"}
	for _, role := range roleNames() {
		ctx, err := program(t, common...).Parse([]string{role})
		if err != nil {
			t.Fatal(err)
		}
		if err := checkCommand(ctx); err != nil {
			t.Errorf("%s: %v", role, err)
		}
	}
}
