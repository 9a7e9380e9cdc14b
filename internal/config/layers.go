package config

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/v2"
)

// fileSuffix marks a secret that is in a file: FOODFLOW_KAFKA_PASSWORD_FILE,
// kafka.password_file.
const fileSuffix = "_file"

// value is what a layer says, and where it stands.
type value struct {
	text   string
	source string
	file   string // that a secret stands in, "" for none
}

// layers hold what file and variables say.
type layers struct {
	settings []Setting
	env      map[string]string
	path     string // of the file, "" for none
	// top and section are the file's values by flag; section by command first.
	top     map[string]value
	section map[string]map[string]value
}

// ours are variables that are no settings: what tests arm and what a parent
// process tells its child.
func ours(name string) bool {
	return slices.Contains([]string{"FOODFLOW_CONFIG", "FOODFLOW_FAILPOINT", "FOODFLOW_READY_FD", "FOODFLOW_VERSION"}, name) ||
		strings.HasPrefix(name, "FOODFLOW_TEST_")
}

// links are the variables with which Kubernetes tells every container of the
// services around it; a service named foodflow-… makes them look like ours.
var links = regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)$`)

// load reads both layers and names every fault at once.
func load(all []Setting, path string, environ []string) (*layers, error) {
	l := &layers{settings: all, env: map[string]string{}, path: path, top: map[string]value{}, section: map[string]map[string]value{}}
	faults := l.readEnv(environ)
	if path != "" {
		more, err := l.readFile(path)
		if err != nil {
			return nil, err
		}
		faults = append(faults, more...)
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return l, nil
}

func (l *layers) readEnv(environ []string) (faults []error) {
	known := map[string]bool{}
	var names []string
	for _, s := range l.settings {
		known[s.Env] = true
		if s.Secret {
			known[s.Env+strings.ToUpper(fileSuffix)] = true
		}
		names = append(names, s.Env)
	}
	slices.Sort(environ)
	for _, e := range environ {
		name, v, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if known[name] {
			if v == "" && strings.HasSuffix(name, strings.ToUpper(fileSuffix)) {
				continue // no file: so a parent process takes back what its child would inherit
			}
			l.env[name] = v
		} else if !ours(name) && !links.MatchString(name) {
			faults = append(faults, unknown(name, "is no variable of foodflow", names))
		}
	}
	return faults
}

func (l *layers) readFile(path string) (faults []error, err error) {
	k := koanf.New(".")
	if err := k.Load(file.Provider(path), yaml.Parser()); err != nil {
		return nil, fmt.Errorf("reading the configuration %s: %w", path, err)
	}
	var keys []string
	commands := map[string]bool{}
	for _, s := range l.settings {
		keys = append(keys, s.Key)
		commands[first(s.Command)] = true
	}
	for _, key := range k.Keys() {
		text, err := textOf(k.Get(key))
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", key, err))
			continue
		}
		v := value{text: text, source: "file " + path}
		command, rest, cut := strings.Cut(key, ".")
		switch {
		case cut && commands[command] && l.knows(command, flagOf(rest)):
			if l.section[command] == nil {
				l.section[command] = map[string]value{}
			}
			l.section[command][flagOf(rest)] = v
		case l.knows("*", flagOf(key)):
			l.top[flagOf(key)] = v
		default:
			faults = append(faults, unknown(key, "is no key of the configuration", keys))
		}
	}
	return faults, nil
}

// first is the command under which the file knows a command and its parts.
func first(command string) string {
	name, _, _ := strings.Cut(command, " ")
	return name
}

// knows says whether a command has a flag, or a secret whose file the flag
// names; "*" is any command.
func (l *layers) knows(command, flag string) bool {
	secret := strings.TrimSuffix(flag, flagOf(fileSuffix))
	return slices.ContainsFunc(l.settings, func(s Setting) bool {
		return (command == "*" || first(s.Command) == command || s.Command == "") && (s.Flag == flag || s.Secret && secret != flag && s.Flag == secret)
	})
}

func unknown(name, what string, candidates []string) error {
	if n := nearest(name, candidates); n != "" {
		return fmt.Errorf("%s: %s; the nearest is %s", name, what, n)
	}
	return fmt.Errorf("%s: %s", name, what)
}

// textOf is a value of the file as the command line would give it.
func textOf(v any) (string, error) {
	switch v := v.(type) {
	case nil:
		return "", errors.New("has no value")
	case []any:
		parts := make([]string, len(v))
		for i, e := range v {
			text, err := textOf(e)
			if err != nil {
				return "", err
			}
			parts[i] = strings.ReplaceAll(text, ",", `\,`)
		}
		return strings.Join(parts, ","), nil
	case map[string]any:
		return "", errors.New("must be a value, not a section")
	}
	return fmt.Sprint(v), nil
}

// find gives what the layers say of a flag of a command, the highest first.
func (l *layers) find(command string, s Setting) (value, bool, error) {
	byEnv := func(name string) (value, bool) {
		text, ok := l.env[name]
		return value{text: text, source: "variable " + name}, ok
	}
	bySection := func(flag string) (value, bool) { v, ok := l.section[first(command)][flag]; return v, ok }
	byTop := func(flag string) (value, bool) { v, ok := l.top[flag]; return v, ok }
	for _, layer := range []struct {
		get         func(string) (value, bool)
		name, fname string
		shown       string
	}{
		{byEnv, s.Env, s.Env + strings.ToUpper(fileSuffix), s.Env},
		{bySection, s.Flag, s.Flag + flagOf(fileSuffix), first(command) + "." + s.Key},
		{byTop, s.Flag, s.Flag + flagOf(fileSuffix), s.Key},
	} {
		direct, have := layer.get(layer.name)
		if !s.Secret {
			if have {
				return direct, true, nil
			}
			continue
		}
		named, inFile := layer.get(layer.fname)
		switch {
		case have && inFile:
			return value{}, false, fmt.Errorf("%s: is set both as a value and as a file; only one may be", layer.shown)
		case inFile:
			text, err := secretFile(named.text)
			if err != nil {
				return value{}, false, fmt.Errorf("%s: %w", layer.shown, err)
			}
			return value{text, named.source + ", in " + named.text, named.text}, true, nil
		case have:
			return direct, true, nil
		}
	}
	return value{}, false, nil
}

// maxSecret bounds a secret's file: something else was named if it is longer.
const maxSecret = 64 << 10

func secretFile(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("reading the secret: %w", err)
	}
	text := strings.TrimRight(string(b), "\r\n")
	if text == "" || len(text) > maxSecret {
		return "", fmt.Errorf("reading the secret: %s is empty or longer than %d bytes", path, maxSecret)
	}
	return text, nil
}
