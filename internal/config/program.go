package config

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// Program is a command line with the layers below it.
type Program struct {
	parser   *kong.Kong
	settings []Setting
	environ  []string
	layers   *layers // of the last Parse
}

// New makes the parser of a struct of flags. It reads nothing of the process:
// environ is what the variables are taken from.
func New(cli any, environ []string, options ...kong.Option) (*Program, error) {
	p := &Program{environ: environ}
	options = append(options, kong.Name("foodflow"), kong.WithBeforeResolve(p.resolve))
	parser, err := kong.New(cli, options...)
	if err != nil {
		return nil, fmt.Errorf("reading the flags: %w", err)
	}
	p.parser, p.settings = parser, settings(parser.Model)
	for _, s := range p.settings {
		// The help names the variable; kong must not read it, or its errors
		// would repeat the value.
		s.flag.Envs = []string{s.Env}
	}
	return p, nil
}

// Settings lists every flag that can be configured.
func (p *Program) Settings() []Setting { return p.settings }

// Parser is the parser underneath, for help and exits.
func (p *Program) Parser() *kong.Kong { return p.parser }

// Error is what is wrong with the configuration, as against the command line:
// one fault a line.
type Error struct{ cause error }

// Error joins the faults by line ends.
func (e *Error) Error() string { return e.cause.Error() }

// Unwrap gives the faults.
func (e *Error) Unwrap() error { return e.cause }

// Fault makes err, if it is one, an Error.
func Fault(err error) error {
	if err == nil {
		return nil
	}
	return &Error{err}
}

// Parse reads the arguments and fills what they leave open.
func (p *Program) Parse(args []string) (*kong.Context, error) { return p.parser.Parse(args) }

// resolve is called by kong between the defaults and the values.
func (p *Program) resolve(ctx *kong.Context) error {
	path := ""
	for _, e := range p.environ {
		if v, ok := strings.CutPrefix(e, prefix+"CONFIG="); ok {
			path = v
		}
	}
	for _, step := range ctx.Path {
		if step.Flag != nil && step.Flag.Name == "config" {
			if v, ok := ctx.FlagValue(step.Flag).(string); ok {
				path = v
			}
		}
	}
	l, err := load(p.settings, path, p.environ)
	if err != nil {
		return &Error{err}
	}
	p.layers = l
	ctx.AddResolver(kong.ResolverFunc(func(ctx *kong.Context, _ *kong.Path, flag *kong.Flag) (any, error) {
		s, ok := p.setting(flag)
		if !ok {
			return nil, nil
		}
		v, ok, err := l.find(commandOf(ctx), s)
		if err != nil {
			return nil, &Error{err}
		}
		if !ok {
			return nil, nil
		}
		return v.text, nil
	}))
	return nil
}

func (p *Program) setting(flag *kong.Flag) (Setting, bool) {
	for _, s := range p.settings {
		if s.flag == flag {
			return s, true
		}
	}
	return Setting{}, false
}

// commandOf is the path of the chosen command, without its arguments.
func commandOf(ctx *kong.Context) string {
	var names []string
	for n := ctx.Selected(); n != nil && n.Type != kong.ApplicationNode; n = n.Parent {
		names = append([]string{n.Name}, names...)
	}
	return strings.Join(names, " ")
}
