package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/foodflow/foodflow/clickhouse"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/feed"
	"github.com/foodflow/foodflow/internal/lifecycle"
	"github.com/foodflow/foodflow/internal/replay"
	"github.com/foodflow/foodflow/internal/simulate"
)

// feedFlags say where a producer sends.
type feedFlags struct {
	IngestURL string `help:"HTTP ingest." name:"ingest-url" default:"http://127.0.0.1:8081" placeholder:"URL"`
	APIKey    string `help:"API key with the scope ingest." name:"api-key" placeholder:"KEY" secret:""`
}

func (f feedFlags) client(e *env) (*feed.Client, error) {
	cfg := feed.DefaultConfig()
	cfg.URL, cfg.APIKey = f.IngestURL, f.APIKey
	return feed.New(cfg, e.logger)
}

type simulateCmd struct {
	Feed         feedFlags     `embed:""`
	Truth        string        `help:"Journal of what was planted." type:"path" default:"data/simulator/truth.jsonl" placeholder:"FILE"`
	Seed         uint64        `help:"Everything follows from it." default:"1"`
	Backfill     time.Duration `help:"Begin this long ago and catch up first." default:"15m"`
	AnomalyEvery time.Duration `help:"Mean time between two planted anomalies on one line." default:"4m"`
	Copies       float64       `help:"Share of requests sent twice on purpose." default:"0.005"`
	MQTTAddr     string        `help:"Send a share of the plant over MQTT to this address." name:"mqtt-addr" placeholder:"HOST:PORT"`
	MQTTShare    float64       `help:"That share, of the sensors and of the lines." name:"mqtt-share" default:"0.5"`
	Recording    bool          `help:"Also replay the machine temperature recording once caught up, so that it ends now."`

	Verify     bool            `help:"Send nothing: compare ClickHouse with the journal, and fail when they differ."`
	Wait       time.Duration   `help:"With --verify: ask again for so long while ClickHouse is behind." default:"30s"`
	JSON       bool            `help:"With --verify: print the report as JSON." name:"json"`
	Clickhouse clickhouseFlags `embed:"" prefix:"clickhouse-"`
}

// Run plays until told to stop, or verifies.
func (c *simulateCmd) Run(e *env) error {
	if c.Verify {
		return c.verify(e)
	}
	client, err := c.Feed.client(e)
	if err != nil {
		return err
	}
	defer client.Close()
	sender, end, err := c.ways(client, e)
	if err != nil {
		return err
	}
	defer end()
	cfg := simulate.DefaultConfig()
	cfg.Truth, cfg.Seed, cfg.Backfill, cfg.AnomalyEvery, cfg.Copies = c.Truth, c.Seed, c.Backfill, c.AnomalyEvery, c.Copies
	live := make(chan struct{})
	bar, caught := newProgress(e.out, "simulated", "readings"), false
	s, err := simulate.New(cfg, simulate.Deps{Sender: sender, Plant: demo.Describe(), Logger: e.logger, Progress: func(p simulate.Progress) {
		if caught {
			return
		}
		bar.show(p.Until-p.From, p.Now-p.From, p.Readings)
		if p.Live {
			caught = true
			bar.end()
			e.logger.Info("the simulation has caught up with the clock", "readings", p.Readings, "events", p.Events)
			close(live)
		}
	}})
	if err != nil {
		return err
	}
	lifecycle.Ready()
	group, ctx := errgroup.WithContext(e.ctx)
	group.Go(func() error { return s.Run(ctx) })
	if c.Recording {
		group.Go(func() error { return c.record(ctx, e, client, live) })
	}
	return group.Wait()
}

// ways adds MQTT to the way by HTTP, if it is asked for.
func (c *simulateCmd) ways(http *feed.Client, e *env) (simulate.Sender, func(), error) {
	if c.MQTTAddr == "" {
		return http, func() {}, nil
	}
	cfg := feed.MQTTConfig{Addr: c.MQTTAddr, Tenant: demo.TenantKey, ClientID: "foodflow-simulator", Retry: feed.DefaultConfig()}
	cfg.Retry.APIKey = c.Feed.APIKey
	mqtt, err := feed.NewMQTT(cfg, e.logger)
	if err != nil {
		return nil, nil, err
	}
	return simulate.Ways{One: http, Other: mqtt, Share: c.MQTTShare}, mqtt.Close, nil
}

// record replays the recording behind the simulated readings: the line's own
// time must have begun before readings of past weeks come in.
func (c *simulateCmd) record(ctx context.Context, e *env, client *feed.Client, live <-chan struct{}) error {
	select {
	case <-ctx.Done():
		return nil
	case <-live:
	}
	rows, err := replay.MachineTemperature()
	if err != nil {
		return err
	}
	cfg := replay.Config{Sensor: demo.MachineTemperature, At: replay.Now, State: filepath.Join(filepath.Dir(c.Truth), "recording.json")}
	if err := replay.Run(ctx, cfg, replay.Deps{Sender: client, Logger: e.logger}, rows); err != nil {
		if errors.Is(err, context.Canceled) {
			err = nil // it goes on with the next start
		}
		return err
	}
	e.logger.Info("the machine temperature recording is in", "rows", len(rows))
	return nil
}

// errNotAsPlanted makes the program end with another code than 0.
var errNotAsPlanted = errors.New("ClickHouse does not hold what was planted")

func (c *simulateCmd) verify(e *env) error {
	ch, err := clickhouse.NewClient(c.Clickhouse.config())
	if err != nil {
		return err
	}
	report, err := c.compare(e, ch)
	if err != nil {
		return err
	}
	if err := printReport(e.out, report, c.JSON); err != nil {
		return err
	}
	if !report.OK {
		return errNotAsPlanted
	}
	return nil
}

// compare waits for a journal that has only just begun: whoever asks right after
// the start of the plant gets an answer.
func (c *simulateCmd) compare(e *env, ch *clickhouse.Client) (*simulate.Report, error) {
	told := false
	for deadline := time.Now().Add(c.Wait); ; {
		report, err := c.compareOnce(e, ch)
		early := errors.Is(err, simulate.ErrNoTruth) || errors.Is(err, os.ErrNotExist)
		if !early || time.Now().After(deadline) {
			return report, err
		}
		if !told {
			e.logger.Info("waiting for the simulation to begin", "journal", c.Truth)
			told = true
		}
		select {
		case <-e.ctx.Done():
			return nil, e.ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (c *simulateCmd) compareOnce(e *env, ch *clickhouse.Client) (*simulate.Report, error) {
	f, err := os.Open(c.Truth)
	if err != nil {
		return nil, fmt.Errorf("opening the truth journal: %w", err)
	}
	defer f.Close()
	return simulate.Verify(e.ctx, f, ch, simulate.Options{Plant: demo.Describe(), Wait: c.Wait})
}

func printReport(w io.Writer, r *simulate.Report, asJSON bool) error {
	if !asJSON {
		return r.WriteText(w)
	}
	out := json.NewEncoder(w)
	out.SetIndent("", "  ")
	if err := out.Encode(r); err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	return nil
}

// startSimulator plays the demo plant as a child. The key goes by the
// environment, since other users can read command lines.
func (u *upRun) startSimulator(ctx context.Context) error {
	if u.NoSimulator {
		return nil
	}
	p := &lifecycle.Process{
		Name: "simulator", Path: u.self, Log: u.log, Logger: u.r.logger,
		Args: []string{"simulate", "--recording", "--ingest-url", "http://" + u.addrs["ingest"], "--mqtt-addr", u.addrs["mqtt"], "--truth", u.truth()},
		Env:  append(u.environ(), "FOODFLOW_API_KEY="+u.demo.APIKey),
	}
	return u.r.group.Start(ctx, p.Name, p.Start, p.Stop)
}
