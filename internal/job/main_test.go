package job_test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/internal/testkit/leak"
)

// The child of the kill tests is this test program again, as a worker.
const (
	childURL    = "FOODFLOW_JOB_CHILD"
	childDirect = "FOODFLOW_JOB_DIRECT"
	childKind   = "FOODFLOW_JOB_KIND"
	childJob    = "FOODFLOW_JOB_ID"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		os.Exit(child(url))
	}
	leak.Main(m)
}

// child works until the job it is told of is done.
func child(url string) int {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	id, err := plant.ParseID(os.Getenv(childJob))
	if err == nil {
		err = fault.ArmFromEnvironment()
	}
	if err == nil {
		err = workUntilDone(ctx, url, os.Getenv(childKind), id)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
