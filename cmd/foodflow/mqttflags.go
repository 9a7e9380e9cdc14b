package main

import (
	"time"

	"github.com/foodflow/foodflow/ingest/mqttin"
)

// mqttFlags are the bounds of the MQTT door that a plant may outgrow.
type mqttFlags struct {
	Clients     int           `help:"Most MQTT clients at once; each needs a file descriptor and about 32 KiB." default:"10000"`
	TenantShare float64       `help:"Part of them that one tenant may have." default:"0.5"`
	InFlight    int           `help:"Most messages of one client that wait for Kafka." default:"1000"`
	KeepAlive   time.Duration `help:"Longest silence that an MQTT 5 client may ask for." default:"20m"`
	Session     time.Duration `help:"How long a client that asked for it finds its session again." default:"1h"`
}

func (f mqttFlags) config() mqttin.Config {
	cfg := mqttin.DefaultConfig()
	cfg.Clients, cfg.TenantShare, cfg.InFlight, cfg.KeepAlive, cfg.Session = f.Clients, f.TenantShare, f.InFlight, f.KeepAlive, f.Session
	cfg.Sessions = 4 * f.Clients
	return cfg
}
