package embedded

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Analyst is a user for BI tools: reads some databases within limits. ClickHouse's
// readonly=2 holds for it, so it may change settings but for these limits.
type Analyst struct {
	Name     string
	Password string
	// Databases that it may read.
	Databases []string
	// MaxMemory in bytes, MaxTime, MaxResultBytes of one statement.
	MaxMemory      int64
	MaxTime        time.Duration
	MaxResultBytes int64
	// Rows narrow tables and views down, each a "database.table" with a condition on
	// its columns. Once one analyst has a condition on a table, the others see nothing
	// of it without one of their own, as with row policies of a server.
	Rows map[string]string
}

// DefaultAnalyst has limits that leave room for the pipeline; it lacks a name, a
// password and databases.
func DefaultAnalyst() Analyst {
	return Analyst{MaxMemory: 2 << 30, MaxTime: time.Minute, MaxResultBytes: 1 << 30}
}

// analystText is an analyst as an operator writes it.
type analystText struct {
	Name         string            `json:"name"`
	Password     string            `json:"password"`
	PasswordFile string            `json:"password_file"`
	Databases    []string          `json:"databases"`
	MaxMemory    *int64            `json:"max_memory_bytes"`
	MaxTime      *string           `json:"max_time"`
	MaxResult    *int64            `json:"max_result_bytes"`
	Rows         map[string]string `json:"rows"`
}

// ParseAnalysts reads a JSON list of analysts:
//
//	[{"name": "tableau", "password_file": "/run/secrets/tableau", "databases": ["bi"],
//	  "max_memory_bytes": 2147483648, "max_time": "1m", "max_result_bytes": 1073741824, "rows": {"bi.readings": "tenant = 'demo'"}}]
//
// "password" may stand in place of its file; limits left out are DefaultAnalyst's.
// Empty text is no analyst. No error holds anything of the text but names.
func ParseAnalysts(text string) ([]Analyst, error) {
	if strings.TrimSpace(text) == "" {
		return nil, nil
	}
	var list []analystText
	dec := json.NewDecoder(bytes.NewReader([]byte(text)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&list); err != nil {
		return nil, fmt.Errorf("clickhouse.analysts: must be a JSON list of accounts: %w", withoutText(err))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("clickhouse.analysts: something follows the JSON list")
	}
	var out []Analyst
	var errs []error
	for _, t := range list {
		a, err := t.analyst()
		if err != nil {
			errs = append(errs, fmt.Errorf("clickhouse.analysts: %q: %w", t.Name, err))
		}
		out = append(out, a)
	}
	return out, errors.Join(errs...)
}

func (t analystText) analyst() (Analyst, error) {
	a := DefaultAnalyst()
	a.Name, a.Password, a.Databases, a.Rows = t.Name, t.Password, t.Databases, t.Rows
	var errs []error
	switch {
	case t.Password != "" && t.PasswordFile != "":
		errs = append(errs, errors.New("has both a password and its file"))
	case t.PasswordFile != "":
		b, err := os.ReadFile(t.PasswordFile)
		if err != nil {
			errs = append(errs, fmt.Errorf("reading its password: %w", err))
		}
		a.Password = strings.TrimRight(string(b), "\r\n")
	}
	if t.MaxTime != nil {
		d, err := time.ParseDuration(*t.MaxTime)
		if err != nil {
			errs = append(errs, errors.New("max_time is not a time like 90s or 5m"))
		}
		a.MaxTime = d
	}
	if t.MaxMemory != nil {
		a.MaxMemory = *t.MaxMemory
	}
	if t.MaxResult != nil {
		a.MaxResultBytes = *t.MaxResult
	}
	return a, errors.Join(errs...)
}

// withoutText keeps values of the text, which may be secrets, out of an error.
func withoutText(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax):
		return fmt.Errorf("broken at byte %d", syntax.Offset)
	case errors.As(err, &kind):
		return fmt.Errorf("%s is a %s at byte %d", kind.Field, strings.Fields(kind.Value + " value")[0], kind.Offset)
	}
	return err // an unknown field's name, or an end too early
}

// userName is a name that needs no quotes in ClickHouse's configuration.
var userName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// validate names every fault; seen are the names that are taken.
func (a Analyst) validate(seen map[string]bool) (errs []error) {
	say := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("clickhouse.analysts: "+format, args...))
	}
	switch {
	case !userName.MatchString(a.Name):
		say("%q is not a name of letters, digits and _", a.Name)
	case seen[a.Name]:
		say("the name %q is taken", a.Name)
	}
	seen[a.Name] = true
	if a.Password == "" {
		say("%s has no password", a.Name)
	}
	if len(a.Databases) == 0 {
		say("%s has no databases to read", a.Name)
	}
	for _, db := range a.Databases {
		switch {
		case !userName.MatchString(db):
			say("%q is not a database of %s", db, a.Name)
		case closed(db):
			say("%s can't read all of %q: it holds what others do", a.Name, db)
		}
	}
	if a.MaxMemory < 1 || a.MaxTime < time.Second || a.MaxResultBytes < 1 {
		say("the limits of %s must be positive, its time a second or more", a.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(a.Rows)) {
		db, table, _ := strings.Cut(name, ".")
		if !slices.Contains(a.Databases, db) || !userName.MatchString(table) {
			say("%q of %s is no table, with its database in front, of one that it may read", name, a.Name)
		}
		if strings.TrimSpace(a.Rows[name]) == "" {
			say("%s has no condition for %s", a.Name, name)
		}
	}
	return errs
}

// closed are the databases of the engine itself.
func closed(db string) bool {
	return db == "system" || strings.EqualFold(db, "information_schema")
}
