package main

import (
	"fmt"
	"os"
	"strconv"

	"github.com/foodflow/foodflow/internal/replay"
)

type replayCmd struct {
	File        string    `arg:"" help:"CSV with a header, plain, gzip or zstd." type:"existingfile"`
	Sensor      string    `help:"Id or key of the sensor it is fed as." required:""`
	Speed       string    `help:"How many times faster than recorded, or max." default:"max" placeholder:"N|max"`
	At          string    `help:"In its own time, or shifted so that the last row is now." enum:"original,now" default:"now"`
	TimeColumn  string    `help:"Column of the time." placeholder:"NAME"`
	ValueColumn string    `help:"Column of the value." placeholder:"NAME"`
	State       string    `help:"Remember here how far it is, to go on after a cut." type:"path" placeholder:"FILE"`
	Feed        feedFlags `embed:""`
}

// Run replays the file to its end.
func (c *replayCmd) Run(e *env) error {
	cfg := replay.Config{Sensor: c.Sensor, At: replay.At(c.At), State: c.State}
	if c.Speed != "max" {
		speed, err := strconv.ParseFloat(c.Speed, 64)
		if err != nil || speed <= 0 {
			return fmt.Errorf("reading --speed: %q is neither a positive number nor max", c.Speed)
		}
		cfg.Speed = speed
	}
	f, err := os.Open(c.File)
	if err != nil {
		return fmt.Errorf("opening the recording: %w", err)
	}
	rows, err := replay.Read(f, replay.Columns{Time: c.TimeColumn, Value: c.ValueColumn})
	f.Close()
	if err != nil {
		return err
	}
	client, err := c.Feed.client(e)
	if err != nil {
		return err
	}
	defer client.Close()
	bar := newProgress(e.out, "replayed", "rows")
	err = replay.Run(e.ctx, cfg, replay.Deps{Sender: client, Logger: e.logger, Progress: func(done, all int) {
		bar.show(int64(done), int64(all), int64(done))
	}}, rows)
	bar.end()
	return err
}
