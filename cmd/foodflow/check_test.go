package main

import "testing"

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
