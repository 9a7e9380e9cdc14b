package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/foodflow/foodflow/internal/config"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/lifecycle"
	"github.com/foodflow/foodflow/internal/telemetry"
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
	Sentry sentryFlags `embed:"" prefix:"sentry-"`
	OTel   otelFlags   `embed:"" prefix:"otel-"`

	Up               upCmd               `cmd:"" help:"Run everything on this machine with embedded engines."`
	Ingest           ingestCmd           `cmd:"" help:"Accept readings and line events over HTTP and MQTT."`
	Processors       processorsCmd       `cmd:"" help:"Score, count and store what is on Kafka."`
	API              apiCmd              `cmd:"" name:"api" help:"Serve master data and results; carry changes to Kafka."`
	Migrate          migrateCmd          `cmd:"" help:"Make or update topics, tables and schemas; say which are behind."`
	Tenants          tenantsCmd          `cmd:"" help:"Make and manage tenants."`
	Simulate         simulateCmd         `cmd:"" help:"Play the demo plant and write down what was planted; or verify that ClickHouse holds it."`
	Replay           replayCmd           `cmd:"" help:"Feed a recording through ingest."`
	Bench            benchCmd            `cmd:"" help:"Measure, each figure beside its bare loop."`
	Deadletters      deadlettersCmd      `cmd:"" help:"Look at what could not be processed, and replay it."`
	Settings         configCmd           `cmd:"" name:"config" help:"Show and check the configuration."`
	Doctor           doctorCmd           `cmd:"" help:"Look for what is wrong with the configuration, the stores and the machine."`
	KafkaEngine      kafkaEngineCmd      `cmd:"" help:"Run the embedded Kafka." hidden:""`
	ClickhouseEngine clickhouseEngineCmd `cmd:"" help:"Run the embedded ClickHouse." hidden:""`
	Version          versionCmd          `cmd:"" help:"Print the version."`
}

// env is what commands get.
type env struct {
	ctx    context.Context
	logger *slog.Logger
	out    io.Writer
	config string            // the file's path, "" for none
	tracer *telemetry.Tracer // nil: off
}

func main() { os.Exit(start()) }

// start is the program's life; it gives the exit code.
func start() int {
	if err := fault.ArmFromEnvironment(); err != nil {
		fmt.Fprintln(os.Stderr, "foodflow:", err)
		return 2
	}
	var c cli
	program, err := newProgram(&c)
	if err != nil {
		fmt.Fprintln(os.Stderr, "foodflow:", err)
		return 2
	}
	args, err := program.Parse(os.Args[1:])
	if err == nil {
		err = errors.Join(config.Fault(c.telemetry("").Validate()), checkCommand(args))
	}
	refused := new(config.Error)
	if errors.As(err, &refused) {
		fmt.Fprintln(os.Stderr, refused)
		fmt.Fprintln(os.Stderr, howToSet(refused))
		return 2
	}
	program.Parser().FatalIfErrorf(err)
	ctx, cancel := lifecycle.Signals(context.Background())
	defer cancel()
	command, _, _ := strings.Cut(args.Command(), " ")
	e, end, err := newEnv(ctx, &c, command)
	if err != nil {
		fmt.Fprintln(os.Stderr, "foodflow:", err)
		return 2
	}
	defer end()
	return e.run(args)
}

// newEnv opens the log and, where they are asked for, traces and reports; end
// sends what is left of them.
func newEnv(ctx context.Context, c *cli, command string) (e *env, end func(), err error) {
	plain := newLogger(c.Log.Level, c.Log.Format)
	cfg := c.telemetry("foodflow-" + command)
	reporter, err := telemetry.NewReporter(cfg)
	if err != nil {
		return nil, nil, err
	}
	tracer, err := telemetry.NewTracer(ctx, cfg, plain)
	if err != nil {
		return nil, nil, err
	}
	e = &env{ctx: ctx, logger: slog.New(telemetry.Traced(reporter.Handler(plain.Handler()))), out: os.Stdout, config: c.Config, tracer: tracer}
	slog.SetDefault(e.logger)
	return e, func() {
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
		defer cancel()
		if err := tracer.Stop(last); err != nil {
			plain.Warn("spans are lost", "error", err)
		}
		reporter.Stop(lastWords)
	}, nil
}

// lastWords bounds the sending of what is left at the end.
const lastWords = 3 * time.Second

// run runs the command. A panic of its own goroutine is told of like any other
// end.
func (e *env) run(args *kong.Context) (code int) {
	defer func() {
		if v := recover(); v != nil {
			e.logger.Error("foodflow panics", "panic", v, "stack", string(debug.Stack()))
			code = 2
		}
	}()
	err := args.Run(e)
	if said := exit(0); errors.As(err, &said) {
		return int(said)
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		e.tell(args, err)
		return 1
	}
	return 0
}

// tell says why the command ends: a role in its log, where it is looked for; what
// a person typed in words.
func (e *env) tell(args *kong.Context, err error) {
	switch command, _, _ := strings.Cut(args.Command(), " "); command {
	case "up", "ingest", "processors", "api", "kafka-engine", "clickhouse-engine":
		e.logger.Error("foodflow ends", "error", err)
	default:
		fmt.Fprintln(os.Stderr, "foodflow: error:", inWords(err))
	}
}

// inWords names what broke a rule as an answer of the API does: an error's own
// text is for logs and has the rules' names only.
func inWords(err error) string {
	var f *fault.Error
	if !errors.As(err, &f) || len(f.Items) == 0 {
		return err.Error()
	}
	var items []string
	for _, it := range f.Items {
		items = append(items, it.Location+" "+it.Message)
	}
	return strings.Join(items, "; ")
}

// howToSet says by what the first of the settings at fault is set.
func howToSet(refused error) string {
	key, _, _ := strings.Cut(refused.Error(), ":")
	key, _, _ = strings.Cut(key, ",")
	flag := strings.NewReplacer(".", "-", "_", "-").Replace(key)
	return fmt.Sprintf("Set by a flag (--%s), a variable (FOODFLOW_%s) or a file (--config).", flag, strings.ToUpper(strings.ReplaceAll(flag, "-", "_")))
}

// exit is the code of a command that has said all there is to say.
type exit int

// Error gives the code.
func (e exit) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

func newProgram(c *cli) (*config.Program, error) {
	return config.New(c, os.Environ(), kong.Description("Stream processing for food manufacturing."),
		kong.ShortUsageOnError(), kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
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
