package live

import (
	"fmt"
	"testing"

	"github.com/foodflow/foodflow/internal/broker"
)

func FuzzID(f *testing.F) {
	good := broker.Position{broker.TopicAnomalies: {0, 35, 36}, broker.TopicOEE: {1 << 62}, broker.TopicEvents: {5, 6}}
	for _, s := range []string{formatID(good), "", "..", "0.0.0", "-1.0.0", "zz-zz.1.1", "1.1.1.1", "0-.1.1"} {
		f.Add(s)
	}
	if p, ok := parseID(formatID(good)); !ok || fmt.Sprint(p) != fmt.Sprint(good) {
		f.Fatalf("%v reads back as %v", good, p)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, ok := parseID(text)
		if !ok {
			return
		}
		again, ok := parseID(formatID(p))
		if !ok || fmt.Sprint(again) != fmt.Sprint(p) {
			t.Fatalf("%q is %v, which reads back as %v", text, p, again)
		}
	})
}
