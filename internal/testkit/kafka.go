package testkit

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/broker/apache"
	"github.com/foodflow/foodflow/internal/lifecycle"
)

// Apache gives a fresh cluster of n Apache Kafka brokers, ended with the test.
// Where Java or Maven are missing the test is skipped, visibly; with
// REQUIRE_SERVICES set it fails.
func Apache(t testing.TB, n int) *apache.Cluster {
	t.Helper()
	cache, err := lifecycle.CacheDir()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	lib, err := apache.Install(ctx, cache, func(s string) { t.Log(s) })
	if errors.Is(err, apache.ErrMissing) && os.Getenv("REQUIRE_SERVICES") == "" {
		t.Skip("needs Apache Kafka: ", err)
	}
	if err != nil {
		t.Fatal("installing Apache Kafka: ", err)
	}
	c, err := apache.Start(ctx, lib, t.TempDir(), n, io.Discard, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal("starting Apache Kafka: ", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = c.Stop(ctx) // one that was killed in the test may be gone
	})
	return c
}
