package main

import (
	"context"
	"fmt"
	"os"

	"github.com/foodflow/foodflow/internal/broker/apache"
)

// Engines of Kafka.
const (
	kafkaEmbedded = "embedded"
	kafkaApache   = "apache"
)

// kafkaDirs says where each engine keeps its records under the data directory.
func kafkaDirs() map[string]string {
	return map[string]string{kafkaEmbedded: "kafka", kafkaApache: "kafka-apache"}
}

func (u *upRun) startKafka(ctx context.Context) error {
	if len(u.KafkaBrokers) > 0 {
		u.kafka = u.KafkaBrokers[0]
		return nil
	}
	if err := u.sameEngine(); err != nil {
		return err
	}
	u.kafka = u.addrs["kafka"]
	dir := u.dir(kafkaDirs()[u.Kafka])
	if u.Kafka == kafkaEmbedded {
		args := []string{"kafka-engine", "--dir", dir, "--addr", u.kafka}
		if u.KafkaSync {
			args = append(args, "--sync")
		}
		return u.child(ctx, "kafka", args...)
	}
	lib, err := apache.Install(ctx, u.CacheDir, func(s string) { u.r.logger.Info("installing an engine", "what", s) })
	if err != nil {
		return err
	}
	cfg := apache.DefaultConfig()
	cfg.Lib, cfg.Dir, cfg.Addr = lib, dir, u.kafka
	cluster, err := apache.New(cfg, u.log, u.r.logger)
	if err != nil {
		return err
	}
	return u.r.group.Start(ctx, "kafka", cluster.Start, cluster.Stop)
}

// sameEngine refuses a data directory whose records another engine holds: the
// processors would find a Kafka without their state and without the directory,
// which the outbox has carried there once.
func (u *upRun) sameEngine() error {
	for engine, dir := range kafkaDirs() {
		if engine == u.Kafka {
			continue
		}
		if _, err := os.Stat(u.dir(dir)); err == nil {
			return fmt.Errorf("the data directory %s holds records of the %s Kafka: start it with --kafka %s, or choose another --data-dir", u.DataDir, engine, engine)
		}
	}
	return nil
}
