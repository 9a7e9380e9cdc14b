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

// ApacheLib gives the folder of Kafka's jars. Where Java or Maven are missing
// the test is skipped, visibly; with REQUIRE_SERVICES set it fails.
func ApacheLib(t testing.TB) string {
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
	return lib
}

// Apache gives a fresh cluster of n Apache Kafka brokers, ended with the test.
// It skips as ApacheLib does.
func Apache(t testing.TB, n int) *apache.Cluster { return ApacheTLS(t, n, nil) }

// ApacheTLS is Apache with brokers that speak TLS, if it is given.
func ApacheTLS(t testing.TB, n int, secure *apache.TLS) *apache.Cluster {
	t.Helper()
	cfg := apache.DefaultConfig()
	cfg.Lib, cfg.Dir, cfg.Brokers, cfg.TLS = ApacheLib(t), t.TempDir(), n, secure
	c, err := apache.New(cfg, io.Discard, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal("placing Apache Kafka: ", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	if err := c.Start(ctx); err != nil {
		t.Fatal("starting Apache Kafka: ", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		_ = c.Stop(ctx) // one that was killed in the test may be gone
	})
	return c
}
