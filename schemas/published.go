package schemas

import (
	"embed"
	"fmt"
	"io/fs"
	"sort"
	"strconv"
	"strings"

	"github.com/twmb/avro"
)

//go:embed avsc
var published embed.FS

// Name names a kind of record.
type Name string

// The kinds of records.
const (
	Reading        Name = "reading"
	LineEvent      Name = "line_event"
	Anomaly        Name = "anomaly"
	OEEPart        Name = "oee_part"
	DeadLetterName Name = "dead_letter"
	EventName      Name = "domain_event"
	DirectoryName  Name = "directory_entry"
	KeyUseName     Name = "key_use"
)

// Subject is the registry subject of a kind: its topic's values.
func (n Name) Subject() string { return subjects()[n] }

func subjects() map[Name]string {
	return map[Name]string{
		Reading:        "foodflow.readings.v1-value",
		LineEvent:      "foodflow.line-events.v1-value",
		Anomaly:        "foodflow.anomalies.v1-value",
		OEEPart:        "foodflow.oee.v1-value",
		DeadLetterName: "foodflow.dead-letters.v1-value",
		EventName:      "foodflow.events.v1-value",
		DirectoryName:  "foodflow.directory.v1-value",
		KeyUseName:     "foodflow.key-uses.v1-value",
	}
}

// Names lists the kinds in alphabetical order.
func Names() []Name {
	var out []Name
	for n := range subjects() {
		out = append(out, n)
	}
	sort.Slice(out, func(i, j int) bool { return out[i] < out[j] })
	return out
}

// Versions gives the published schemas of a kind, oldest first.
func Versions(n Name) ([]string, error) {
	dir := "avsc/" + string(n)
	entries, err := fs.ReadDir(published, dir)
	if err != nil {
		return nil, fmt.Errorf("listing schemas of %s: %w", n, err)
	}
	out := make([]string, len(entries))
	for _, e := range entries {
		number, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(e.Name(), "v"), ".avsc"))
		if err != nil || number < 1 || number > len(entries) {
			return nil, fmt.Errorf("schema file %s/%s: want v1.avsc, v2.avsc, … without a gap", dir, e.Name())
		}
		b, err := published.ReadFile(dir + "/" + e.Name())
		if err != nil {
			return nil, fmt.Errorf("reading schema: %w", err)
		}
		out[number-1] = string(b)
	}
	return out, nil
}

// latest gives the newest schema of a kind, parsed.
func latest(n Name) (text string, s *avro.Schema, err error) {
	all, err := Versions(n)
	if err != nil {
		return "", nil, err
	}
	text = all[len(all)-1]
	s, err = avro.Parse(text)
	if err != nil {
		return "", nil, fmt.Errorf("parsing schema of %s: %w", n, err)
	}
	return text, s, nil
}

// Compatible says whether a reader schema can read all that a writer schema
// wrote, in the form the embedded registry takes. Both may be a stranger's.
func Compatible(reader, writer string) error {
	r, err := parse(reader)
	if err != nil {
		return fmt.Errorf("parsing reader schema: %w", err)
	}
	w, err := parse(writer)
	if err != nil {
		return fmt.Errorf("parsing writer schema: %w", err)
	}
	return avro.CheckCompatibility(w, r)
}

// Valid says whether text is an Avro schema, and one of bearable weight.
func Valid(text string) error {
	_, err := parse(text)
	return err
}
