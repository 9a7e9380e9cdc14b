package mqttin

import (
	"strings"

	"github.com/foodflow/foodflow/ingest"
)

// prefix begins every topic.
const prefix = "ff/v1/"

// maxTopic is more than any topic of ours has.
const maxTopic = 512

// place is what a topic names.
type place struct {
	tenant string // key or id
	kind   ingest.Kind
	name   string // key or id of a sensor or line
}

// parseTopic reads ff/v1/{tenant}/{sensor} and ff/v1/{tenant}/lines/{line}.
func parseTopic(topic string) (p place, ok bool) {
	rest, ok := strings.CutPrefix(topic, prefix)
	if !ok || len(topic) > maxTopic {
		return place{}, false
	}
	if p.tenant, p.name, ok = strings.Cut(rest, "/"); !ok || p.tenant == "" {
		return place{}, false
	}
	if line, isLine := strings.CutPrefix(p.name, "lines/"); isLine {
		p.kind, p.name = ingest.Events, line
	}
	return p, p.name != "" && !strings.Contains(p.name, "/")
}
