package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/alecthomas/kong"

	"github.com/foodflow/foodflow/internal/config"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/lifecycle"
)

// version is set by the linker.
var version = "dev"

// cli is the command line. internal/config gives its flags values from the
// environment and from a file.
type cli struct {
	Config string `help:"YAML file with settings; also FOODFLOW_CONFIG." placeholder:"FILE"`
	Log    struct {
		Level  string `help:"debug, info, warn or error." enum:"debug,info,warn,error" default:"info"`
		Format string `help:"text or json." enum:"text,json" default:"text"`
	} `embed:"" prefix:"log-"`

	Up               upCmd               `cmd:"" help:"Run everything on this machine with embedded engines."`
	Ingest           ingestCmd           `cmd:"" help:"Accept readings and line events over HTTP and MQTT."`
	Processors       processorsCmd       `cmd:"" help:"Score, count and store what is on Kafka."`
	API              apiCmd              `cmd:"" name:"api" help:"Serve master data and results; carry changes to Kafka."`
	Migrate          migrateCmd          `cmd:"" help:"Make or update topics and tables."`
	Tenants          tenantsCmd          `cmd:"" help:"Make and manage tenants."`
	Simulate         simulateCmd         `cmd:"" help:"Play the demo plant and write down what was planted; or verify that ClickHouse holds it."`
	Replay           replayCmd           `cmd:"" help:"Feed a recording through ingest."`
	Bench            benchCmd            `cmd:"" help:"Measure, each figure beside its bare loop."`
	Deadletters      deadlettersCmd      `cmd:"" help:"Look at what could not be processed, and replay it."`
	Settings         configCmd           `cmd:"" name:"config" help:"Show and check the configuration."`
	KafkaEngine      kafkaEngineCmd      `cmd:"" help:"Run the embedded Kafka." hidden:""`
	ClickhouseEngine clickhouseEngineCmd `cmd:"" help:"Run the embedded ClickHouse." hidden:""`
	Version          versionCmd          `cmd:"" help:"Print the version."`
}

// env is what commands get.
type env struct {
	ctx    context.Context
	logger *slog.Logger
	out    io.Writer
	config string // the file's path, "" for none
}

func main() {
	if err := fault.ArmFromEnvironment(); err != nil {
		fmt.Fprintln(os.Stderr, "foodflow:", err)
		os.Exit(2)
	}
	var c cli
	program, err := newProgram(&c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "foodflow:", err)
		os.Exit(2)
	}
	args, err := program.Parse(os.Args[1:])
	if err == nil {
		err = checkCommand(args)
	}
	refused := new(config.Error)
	if errors.As(err, &refused) {
		fmt.Fprintln(os.Stderr, refused)
		os.Exit(2)
	}
	program.Parser().FatalIfErrorf(err)
	ctx, cancel := lifecycle.Signals(context.Background())
	defer cancel()
	e := &env{ctx: ctx, logger: newLogger(c.Log.Level, c.Log.Format), out: os.Stdout, config: c.Config}
	slog.SetDefault(e.logger)
	err = args.Run(e)
	if code := exit(0); errors.As(err, &code) {
		cancel()
		os.Exit(int(code))
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		e.logger.Error("foodflow ends", "error", err)
		os.Exit(1)
	}
}

// exit is the code of a command that has said all there is to say.
type exit int

// Error gives the code.
func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func newProgram(c *cli) (*config.Program, error) {
	return config.New(c, os.Environ(), kong.Description("Stream processing for food manufacturing."),
		kong.UsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
}

func newLogger(level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		l = slog.LevelInfo // the flag's enum leaves nothing else
	}
	opts := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(os.Stderr, opts))
	}
	return slog.New(slog.NewTextHandler(os.Stderr, opts))
}

type versionCmd struct{}

// Run prints the version.
func (versionCmd) Run(e *env) error {
	_, err := fmt.Fprintln(e.out, version)
	return err
}
