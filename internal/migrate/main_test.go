package migrate

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/foodflow/foodflow/internal/testkit/leak"
)

// The child of the kill test is this test program again, as a run of migrations.
const (
	childURL   = "FOODFLOW_TEST_MIGRATE_CHILD"
	childNaked = "FOODFLOW_TEST_MIGRATE_NAKED"
)

func TestMain(m *testing.M) {
	if url := os.Getenv(childURL); url != "" {
		os.Exit(child(url))
	}
	leak.Main(m)
}

// child migrates all tenants, in transactions unless it is told otherwise.
func child(url string) int {
	cfg := DefaultConfig()
	cfg.URL = url
	m, err := New(cfg, slog.New(slog.DiscardHandler))
	if err == nil && os.Getenv(childNaked) != "" {
		m.tenantFiles, err = naked(m.tenantFiles)
	}
	if err == nil {
		err = m.Up(context.Background(), nil)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}
