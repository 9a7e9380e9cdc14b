package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/lifecycle"
)

// demoLogin is made at the first start of a data directory and kept there.
type demoLogin struct {
	Email            string `json:"email"`
	Password         string `json:"password"`
	APIKey           string `json:"api_key"`
	PostgresPassword string `json:"postgres_password"`
}

func loadDemoLogin(dir string) (d demoLogin, err error) {
	path := filepath.Join(dir, "login.json")
	b, err := os.ReadFile(path)
	if err == nil {
		return d, json.Unmarshal(b, &d)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return d, fmt.Errorf("reading the demo login: %w", err)
	}
	d = demoLogin{Email: demo.AdminEmail, Password: secret(), APIKey: directory.NewKey().Reveal(), PostgresPassword: secret()}
	return d, lifecycle.WriteFile(path, d)
}

// secret makes a password of 128 random bits or more.
func secret() string { return rand.Text() }

// seed publishes the demo plant to the directory.
func (u *upRun) seed(ctx context.Context) error {
	codec, err := u.r.codec(ctx, registryFlags{URL: u.registry}, u.DataDir)
	if err != nil {
		return err
	}
	cl, err := broker.Client(u.kafkaConfig())
	if err != nil {
		return err
	}
	defer cl.Close()
	key, err := directory.ParseKey(u.demo.APIKey)
	if err != nil {
		return fmt.Errorf("reading the demo key: %w", err)
	}
	p := demo.Describe()
	things := []any{p.Tenant, p.Calendar, directory.APIKey{ID: demo.ID("api_key", "demo"), Tenant: p.Tenant.ID, Public: key.Public, Hash: key.Hash(), Scopes: directory.Scopes()}}
	for _, l := range p.Lines {
		things = append(things, l.Line)
		for _, s := range l.Sensors {
			things = append(things, s.Sensor)
		}
	}
	var msgs []broker.Message
	for _, t := range things {
		e, err := directory.EntryOf(1, t)
		if err != nil {
			return fmt.Errorf("describing the demo plant: %w", err)
		}
		v, err := codec.AppendDirectoryEntry(nil, &e)
		if err != nil {
			return err
		}
		msgs = append(msgs, broker.Message{Topic: broker.TopicDirectory, Key: e.Key(), Value: v})
	}
	return broker.NewProducer(cl).Publish(ctx, msgs)
}

// announce writes the ready file and says where everything is.
func (u *upRun) announce(context.Context) error {
	ready := map[string]string{
		"api": "http://" + u.addrs["api"], "ingest": "http://" + u.addrs["ingest"], "mqtt": u.addrs["mqtt"], "kafka": u.kafka,
		"registry": u.registry, "clickhouse": u.clickhouse, "postgres": u.postgres, "admin": "http://" + u.addrs["admin"],
		"tenant": demo.TenantKey, "email": u.demo.Email, "password": u.demo.Password, "api_key": u.demo.APIKey,
	}
	if u.ReadyFile != "" {
		if err := lifecycle.WriteFile(u.ReadyFile, ready); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(u.e.out, `
FoodFlow is running. Ctrl-C drains and stops it.
  API         %s   (log in as %s / %s)
  ingest      %s   (X-API-Key: %s)
  MQTT        %s
  ClickHouse  %s
  Kafka       %s   (schemas: %s)
  Postgres    %s
  metrics     %s/metrics
`, ready["api"], u.demo.Email, u.demo.Password, ready["ingest"], u.demo.APIKey, ready["mqtt"], ready["clickhouse"], ready["kafka"], ready["registry"], u.postgres, ready["admin"])
	return err
}
