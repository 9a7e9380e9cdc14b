package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Group starts components in the order they are added and stops them in the
// other. The first one that fails ends all.
type Group struct {
	logger *slog.Logger
	limit  time.Duration // for each Stop
	failed chan error    // the first failure; buffered
	stops  []stop
}

type stop struct {
	name string
	run  func(context.Context) error
}

// NewGroup makes an empty group whose components get limit each to stop.
func NewGroup(logger *slog.Logger, limit time.Duration) *Group {
	return &Group{logger: logger, limit: limit, failed: make(chan error, 1)}
}

// Fail ends the group; the first error is the one Wait returns.
func (g *Group) Fail(err error) {
	select {
	case g.failed <- err:
	default:
	}
}

// Start runs start and remembers stop (which may be nil) for the end. After an
// error everything started before is stopped.
func (g *Group) Start(ctx context.Context, name string, start, end func(context.Context) error) error {
	if err := start(ctx); err != nil {
		err = fmt.Errorf("starting %s: %w", name, err)
		return errors.Join(err, g.Stop()) //nolint:contextcheck // the end outlives the context that asked for it
	}
	if end != nil {
		g.stops = append(g.stops, stop{name, end})
	}
	return nil
}

// Wait returns when ctx ends or a component fails, after stopping all.
func (g *Group) Wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
	case err = <-g.failed:
	}
	return errors.Join(err, g.Stop()) //nolint:contextcheck // likewise
}

// Stop stops everything that was started, last first. Safe twice.
func (g *Group) Stop() error {
	var errs []error
	for i := len(g.stops) - 1; i >= 0; i-- {
		s := g.stops[i]
		ctx, cancel := context.WithTimeout(context.Background(), g.limit)
		began := time.Now()
		if err := s.run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", s.name, err))
		}
		cancel()
		g.logger.Debug("stopped", "component", s.name, "duration", time.Since(began))
	}
	g.stops = nil
	return errors.Join(errs...)
}

// Signals gives a context that ends at the first SIGINT or SIGTERM; the second
// one ends the process.
func Signals(parent context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(parent)
	c := make(chan os.Signal, 2)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM)
	go func() {
		select {
		case <-c:
			cancel()
		case <-ctx.Done():
			return
		}
		<-c
		os.Exit(130)
	}()
	return ctx, cancel
}
