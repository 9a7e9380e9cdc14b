package live

import (
	"strconv"
	"strings"

	"github.com/foodflow/foodflow/internal/broker"
)

// topics are the resumable ones, in the order in which an id names them.
func topics() []string {
	return []string{broker.TopicAnomalies, broker.TopicOEE, broker.TopicEvents}
}

// formatID writes a position as an id: next offsets in base 36, by partition and
// topic.
func formatID(p broker.Position) string {
	b := make([]byte, 0, 128)
	for i, t := range topics() {
		if i > 0 {
			b = append(b, '.')
		}
		for j, o := range p[t] {
			if j > 0 {
				b = append(b, '-')
			}
			b = strconv.AppendInt(b, o, 36)
		}
	}
	return string(b)
}

// maxID bounds what is read as an id.
const maxID = 32 << 10

// parseID reads an id; false for what is none.
func parseID(text string) (broker.Position, bool) {
	parts := strings.Split(text, ".")
	if len(text) > maxID || len(parts) != len(topics()) {
		return nil, false
	}
	p := broker.Position{}
	for i, t := range topics() {
		for f := range strings.SplitSeq(parts[i], "-") {
			o, err := strconv.ParseInt(f, 36, 64)
			if err != nil || o < 0 {
				return nil, false
			}
			p[t] = append(p[t], o)
		}
	}
	return p, true
}
