package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/foodflow/foodflow/api"
	"github.com/foodflow/foodflow/api/auth"
	"github.com/foodflow/foodflow/api/live"
	"github.com/foodflow/foodflow/clickhouse/query"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/masterdata"
)

// startAPI serves the API without Postgres: keys are known from the directory,
// and what is measured needs no master data.
func startAPI(ctx context.Context, e Env, b *bed, dir *directory.Store, ch *query.Reader) (url string, stop func() error, err error) {
	hub, err := live.New(live.DefaultConfig(), b.kafka, b.codec, dir, nil, e.Logger)
	if err != nil {
		return "", nil, err
	}
	store, ac := masterdata.New(nil, time.Now), auth.DefaultConfig()
	ac.Secret = make([]byte, 32)
	cfg := api.DefaultConfig()
	cfg.Addr, cfg.Secret, cfg.Rate, cfg.Burst = "127.0.0.1:0", ac.Secret, 1e9, 1e9
	s, err := api.New(cfg, api.Deps{
		Store: store, Directory: dir, Auth: auth.New(ac, nil, store, dir, nil, e.Logger, time.Now), Readings: ch, Live: hub, Logger: e.Logger, Now: time.Now,
	})
	if err != nil {
		return "", nil, err
	}
	own, cancel := context.WithCancel(ctx)
	ran := make(chan error, 1)
	go func() { ran <- hub.Run(own) }()
	failed := make(chan error, 1)
	if err := s.Start(ctx, func(err error) { failed <- err }); err != nil {
		cancel()
		return "", nil, errors.Join(err, <-ran)
	}
	return "http://" + s.Addr(), func() error {
		err := s.Stop(ctx)
		cancel()
		err = errors.Join(err, <-ran)
		select {
		case f := <-failed:
			err = errors.Join(err, f)
		default:
		}
		return err
	}, nil
}

// quantiles of durations, in milliseconds.
func quantiles(all []time.Duration) (p50, p99 float64) {
	slices.Sort(all)
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	return ms(all[len(all)/2]), ms(all[len(all)*99/100])
}

// ask sends GETs by some clients at once and gives how long each took. path
// makes the n-th one's path.
func ask(ctx context.Context, url, key string, clients, each int, path func(n int) string) ([]time.Duration, error) {
	var mu sync.Mutex // guards all and errs
	var all []time.Duration
	var errs error
	var wg sync.WaitGroup
	c := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer c.CloseIdleConnections()
	for i := range clients {
		wg.Go(func() {
			for n := range each {
				took, err := one(ctx, c, url+path(i*each+n), key)
				mu.Lock()
				all, errs = append(all, took), errors.Join(errs, err)
				mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	return all, errs
}

func one(ctx context.Context, c *http.Client, url, key string) (time.Duration, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, fmt.Errorf("asking the api: %w", err)
	}
	r.Header.Set("X-API-Key", key)
	began := time.Now()
	res, err := c.Do(r)
	if err != nil {
		return 0, fmt.Errorf("asking the api: %w", err)
	}
	defer res.Body.Close()
	n, err := io.Copy(io.Discard, res.Body)
	if err != nil || res.StatusCode != http.StatusOK || n < 50 {
		return 0, fmt.Errorf("asking the api for %s: %d, %d bytes, %w", url, res.StatusCode, n, err)
	}
	return time.Since(began), nil
}
