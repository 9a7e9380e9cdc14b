package tenancy_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/testkit/leak"
)

// The child of the kill tests is this test program again, as a worker. It is
// told where the stores are and which job to see through.
const (
	childPostgres   = "FOODFLOW_TENANCY_POSTGRES"
	childKafka      = "FOODFLOW_TENANCY_KAFKA"
	childClickHouse = "FOODFLOW_TENANCY_CLICKHOUSE"
	childDatabase   = "FOODFLOW_TENANCY_DATABASE"
	childArchives   = "FOODFLOW_TENANCY_ARCHIVES"
	childJob        = "FOODFLOW_TENANCY_JOB"
)

func TestMain(m *testing.M) {
	if os.Getenv(childJob) != "" {
		os.Exit(child())
	}
	leak.Main(tidy{m})
}

// tidy closes what the engine's helpers leave open between tests.
type tidy struct{ m *testing.M }

// Run runs the tests.
func (t tidy) Run() int {
	defer http.DefaultClient.CloseIdleConnections()
	return t.m.Run()
}

// child works until the job it is told of is done.
func child() int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	id, err := plant.ParseID(os.Getenv(childJob))
	if err == nil {
		err = fault.ArmFromEnvironment()
	}
	if err == nil {
		err = seeThrough(ctx, id)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
