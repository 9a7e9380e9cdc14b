package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/foodflow/foodflow/internal/config"
	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/directory"
	"github.com/foodflow/foodflow/internal/lifecycle"
	"github.com/foodflow/foodflow/internal/masterdata"
	"github.com/foodflow/foodflow/internal/migrate"
	"github.com/foodflow/foodflow/internal/password"
	"github.com/foodflow/foodflow/internal/postgres"
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

// seed makes the demo tenant in Postgres; the outbox carries it to Kafka.
func (u *upRun) seed(ctx context.Context) error {
	key, err := directory.ParseKey(u.demo.APIKey)
	if err != nil {
		return fmt.Errorf("reading the demo key: %w", err)
	}
	m, err := migrate.New(migrate.Config{URL: cmp.Or(u.PostgresDirect, u.postgres), Parallel: 1}, u.r.logger)
	if err != nil {
		return err
	}
	cfg := postgres.DefaultConfig()
	cfg.URL, cfg.Direct = u.postgres, u.PostgresDirect
	db, err := postgres.Open(ctx, cfg)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = masterdata.New(db, time.Now).SeedDemo(ctx, m, password.New(1, time.Minute), masterdata.Seed{Password: u.demo.Password, Key: key})
	return err
}

// known waits until ingest has the demo key and plant: what Postgres holds
// reaches it by Kafka.
func (u *upRun) known(ctx context.Context) error {
	for deadline := time.Now().Add(time.Minute); ; {
		body := strings.NewReader(`{"readings":[]}`)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+u.addrs["ingest"]+"/v1/readings", body)
		if err != nil {
			return fmt.Errorf("asking ingest: %w", err)
		}
		req.Header.Set("X-API-Key", u.demo.APIKey)
		req.Header.Set("Content-Type", "application/json")
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusAccepted {
				return nil
			}
		}
		if time.Now().After(deadline) {
			return errors.New("ingest does not learn the demo plant: the outbox relay or Kafka does not work")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// ownerURL is ClickHouse's address with the user's password, where there is one.
func (u *upRun) ownerURL() string {
	at, err := url.Parse(u.clickhouse)
	if err != nil || u.Clickhouse.Password == "" {
		return u.clickhouse
	}
	at.User = url.UserPassword("default", u.Clickhouse.Password)
	return at.String()
}

// announce writes the ready file and says where everything is.
func (u *upRun) announce(context.Context) error {
	ready := map[string]string{
		"api": "http://" + u.addrs["api"], "ingest": "http://" + u.addrs["ingest"], "mqtt": u.addrs["mqtt"], "kafka": u.kafka,
		"registry": u.registry, "clickhouse": u.ownerURL(), "postgres": u.postgres, "admin": "http://" + u.addrs["admin"],
		"tenant": demo.TenantKey, "email": u.demo.Email, "password": u.demo.Password, "api_key": u.demo.APIKey,
	}
	if u.ReadyFile != "" {
		if err := lifecycle.WriteFile(u.ReadyFile, ready); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(u.e.out, `
FoodFlow is running.
  API         %[1]s   (log in as %[2]s / %[3]s)
  its pages   %[1]s/api/docs, %[1]s/api/redoc
  ingest      %[4]s   (X-API-Key: %[5]s)
  MQTT        %[6]s   (the key as the password)
  ClickHouse  %[7]s
  Kafka       %[8]s   (schemas: %[9]s)
  Postgres    %[10]s
  metrics     %[11]s/metrics

Try, in another terminal:
  export FOODFLOW_CONFIG=%[12]s
  curl %[4]s/v1/readings -H 'X-API-Key: %[5]s' -H 'Content-Type: application/json' -d '{"readings":[{"sensor":"%[13]s","ts":'$(date +%%s%%3N)',"value":24.5}]}'
  curl %[1]s/api/v1/plant-ops/sensors/%[13]s/readings/latest -H 'X-API-Key: %[5]s'
  %[14]s doctor
Ctrl-C drains and stops it.
`, ready["api"], u.demo.Email, u.demo.Password, ready["ingest"], u.demo.APIKey, ready["mqtt"], config.Redact(ready["clickhouse"]), ready["kafka"], ready["registry"],
		u.postgres, ready["admin"], short(u.settingsFile()), demo.HandThermometer, os.Args[0])
	return err
}
