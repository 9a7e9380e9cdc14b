// Enginemain is the ClickHouse engine as a process for tests: a test that kills
// its engine must not die with it, and an engine that crashes must not look
// like a test that does. It says where it answers on its first line of output
// and ends when its input ends, so it never outlives its test, however that one
// ended. With -temporary it removes its data directory then.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/foodflow/foodflow/clickhouse/embedded"
)

func main() {
	cfg := embedded.DefaultConfig()
	flag.StringVar(&cfg.Library, "library", "", "path of libchdb.so")
	flag.StringVar(&cfg.Dir, "dir", "", "data directory")
	flag.StringVar(&cfg.Addr, "addr", cfg.Addr, "host:port to listen on")
	flag.StringVar(&cfg.Password, "password", "", "password of the user default")
	flag.IntVar(&cfg.Connections, "connections", cfg.Connections, "statements that run at once")
	flag.DurationVar(&cfg.QueueWait, "queue-wait", cfg.QueueWait, "how long a statement waits for its turn")
	flag.Int64Var(&cfg.MaxMemory, "max-memory", cfg.MaxMemory, "bytes the engine may take")
	flag.DurationVar(&cfg.Drain, "drain", cfg.Drain, "how long running statements may go on at the end")
	analysts := flag.String("analysts", "", "accounts that only read, as embedded.ParseAnalysts takes them")
	temporary := flag.Bool("temporary", false, "remove the data directory at the end")
	flag.Parse()
	list, err := embedded.ParseAnalysts(*analysts)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	cfg.Analysts = list
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // any end of the input is the parent's end
		stop()
	}()
	logger := slog.New(slog.NewTextHandler(os.Stderr, nil))
	err = embedded.Serve(ctx, cfg, logger, func(addr string) { fmt.Fprintln(os.Stdout, addr) })
	if *temporary {
		_ = os.RemoveAll(cfg.Dir) // what is left is the system's temporary folder to clean
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
