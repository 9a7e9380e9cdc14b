package replay

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/foodflow/foodflow/internal/feed"
)

// requestRows is less than the 32 readings that the processors' anti-replay
// window holds of any sensor, however far apart they are, so a request sent
// again counts once.
const requestRows = 24

// At says in what time a recording is played.
type At string

// The times.
const (
	Original At = "original" // its own
	Now      At = "now"      // shifted so that the last row is now
)

// Config says what is played.
type Config struct {
	Sensor string // id or key
	// Speed is how many times faster than recorded; 0 is as fast as it is taken.
	Speed float64
	At    At
	// State is the path of a file that remembers how far the replay is; "" is
	// none.
	State string
}

// Validate names every fault at once.
func (c Config) Validate() error {
	var errs []error
	if c.Sensor == "" {
		errs = append(errs, errors.New("replay.sensor: must not be empty"))
	}
	if c.Speed < 0 || math.IsNaN(c.Speed) || math.IsInf(c.Speed, 0) {
		errs = append(errs, errors.New("replay.speed: must be positive, or 0 for as fast as possible"))
	}
	if c.At != Original && c.At != Now {
		errs = append(errs, fmt.Errorf("replay.at: %q is neither original nor now", c.At))
	}
	return errors.Join(errs...)
}

// Sender takes readings and returns nil once they are acknowledged; feed.Client
// is one. An error is final.
type Sender interface {
	Readings(ctx context.Context, readings []feed.Reading) error
}

// Deps are what a replay needs.
type Deps struct {
	Sender Sender
	Logger *slog.Logger
	// Progress is told of each request: rows acknowledged, and of how many; nil:
	// nobody is.
	Progress func(done, all int)
	// Now is the clock; nil: the machine's.
	Now func() time.Time
}

// state is what the state file holds.
type state struct {
	Recording string `json:"recording"` // hash of the rows and the sensor
	ShiftMS   int64  `json:"shift_ms"`
	Sent      int    `json:"sent"`
}

// Run plays rows, which are in order of time, until all are acknowledged or ctx
// ends.
func Run(ctx context.Context, cfg Config, deps Deps, rows []Row) error {
	if err := cfg.Validate(); err != nil {
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	s, err := begin(&cfg, &deps, rows)
	if err != nil {
		return err
	}
	start, first := deps.Now(), s.Sent
	batch := make([]feed.Reading, 0, requestRows)
	for s.Sent < len(rows) {
		n := due(&cfg, rows[first:], deps.Now().Sub(start)) + first
		if n <= s.Sent {
			if err := pause(ctx, &cfg, rows[s.Sent].TS-rows[first].TS, deps.Now().Sub(start)); err != nil {
				return err
			}
			continue
		}
		batch = batch[:0]
		for i := s.Sent; i < min(n, s.Sent+requestRows); i++ {
			batch = append(batch, feed.Reading{Sensor: cfg.Sensor, TS: rows[i].TS + s.ShiftMS, Value: rows[i].Value, Seq: int64(i)})
		}
		if err := deps.Sender.Readings(ctx, batch); err != nil {
			return fmt.Errorf("replaying rows %d to %d: %w", s.Sent+1, s.Sent+len(batch), err)
		}
		s.Sent += len(batch)
		if err := s.save(cfg.State); err != nil {
			return err
		}
		if deps.Progress != nil {
			deps.Progress(s.Sent, len(rows))
		}
	}
	return nil
}

// begin goes on with the state file's replay if it is of the same rows, or
// begins one.
func begin(cfg *Config, deps *Deps, rows []Row) (*state, error) {
	s := &state{Recording: fingerprint(cfg.Sensor, rows)}
	if cfg.At == Now {
		s.ShiftMS = deps.Now().UnixMilli() - rows[len(rows)-1].TS
	}
	if cfg.State == "" {
		return s, nil
	}
	body, err := os.ReadFile(cfg.State)
	if errors.Is(err, os.ErrNotExist) {
		// The shift must not change if the first request is sent again.
		return s, s.save(cfg.State)
	}
	if err != nil {
		return nil, fmt.Errorf("reading the replay's state: %w", err)
	}
	var old state
	if err := json.Unmarshal(body, &old); err != nil {
		return nil, fmt.Errorf("reading the replay's state: %w", err)
	}
	if old.Recording != s.Recording || old.Sent < 0 || old.Sent > len(rows) {
		return s, s.save(cfg.State)
	}
	if old.Sent > 0 {
		deps.Logger.Info("going on with a replay", "sensor", cfg.Sensor, "sent", old.Sent, "rows", len(rows))
	}
	return &old, nil
}

// save writes the state beside the file and moves it in place.
func (s *state) save(path string) error {
	if path == "" {
		return nil
	}
	body, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the replay's state: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("making the replay's folder: %w", err)
	}
	if err := os.WriteFile(path+".new", body, 0o600); err != nil {
		return fmt.Errorf("writing the replay's state: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("writing the replay's state: %w", err)
	}
	return nil
}

// due is how many of the rows are due when elapsed has passed since the first.
func due(cfg *Config, rows []Row, elapsed time.Duration) int {
	if cfg.Speed == 0 {
		return len(rows)
	}
	until := rows[0].TS + int64(float64(elapsed.Milliseconds())*cfg.Speed)
	// Rows are in order of time.
	low, high := 0, len(rows)
	for low < high {
		if mid := (low + high) / 2; rows[mid].TS <= until {
			low = mid + 1
		} else {
			high = mid
		}
	}
	return low
}

// pause waits until the row at ms after the first is due.
func pause(ctx context.Context, cfg *Config, ms int64, elapsed time.Duration) error {
	wait := time.Duration(float64(ms)/cfg.Speed*float64(time.Millisecond)) - elapsed
	select {
	case <-ctx.Done():
		return fmt.Errorf("replaying: %w", ctx.Err())
	case <-time.After(max(wait, time.Millisecond)):
		return nil
	}
}

func fingerprint(sensor string, rows []Row) string {
	h := sha256.New()
	_, _ = h.Write([]byte(sensor)) // a hash never fails
	var b [16]byte
	for _, r := range rows {
		binary.LittleEndian.PutUint64(b[:8], uint64(r.TS))
		binary.LittleEndian.PutUint64(b[8:], math.Float64bits(r.Value))
		_, _ = h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
