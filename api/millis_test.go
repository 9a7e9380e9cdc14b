package api

import (
	"encoding/json"
	"testing"
	"time"
)

func TestTimesHaveMilliseconds(t *testing.T) {
	names := map[string]bool{"at": true, "ts": true}
	for in, want := range map[string]string{
		`{"at":"2026-01-02T03:04:05Z"}`:                                       `{"at":"2026-01-02T03:04:05.000Z"}`,
		`{"at":"2026-01-02T03:04:05.1Z","ts":"2026-01-02T03:04:05.12Z"}`:      `{"at":"2026-01-02T03:04:05.100Z","ts":"2026-01-02T03:04:05.120Z"}`,
		`{"at":"2026-01-02T03:04:05.123Z"}`:                                   `{"at":"2026-01-02T03:04:05.123Z"}`,
		`{"at":"2026-01-02T03:04:05.123456789Z"}`:                             `{"at":"2026-01-02T03:04:05.123Z"}`,
		`{"at":"2026-01-02T03:04:05+02:00"}`:                                  `{"at":"2026-01-02T01:04:05.000Z"}`,
		`{"at":"2026-01-02T03:04:05.5-10:30"}`:                                `{"at":"2026-01-02T13:34:05.500Z"}`,
		`{"note":"2026-01-02T03:04:05Z","at":null}`:                           `{"note":"2026-01-02T03:04:05Z","at":null}`,
		`{"note":"\"at\":\"2026-01-02T03:04:05Z\""}`:                          `{"note":"\"at\":\"2026-01-02T03:04:05Z\""}`,
		`{"at":"2026-01-02Tnonsense-ab"}`:                                     `{"at":"2026-01-02Tnonsense-ab"}`,
		`{"at":"`:                                                             `{"at":"`,
		`[{"x":{"at":"2026-01-02T03:04:05Z"}},{"ts":"2026-01-02T03:04:05Z"}]`: `[{"x":{"at":"2026-01-02T03:04:05.000Z"}},{"ts":"2026-01-02T03:04:05.000Z"}]`,
	} {
		if got := string(millis([]byte(in), names)); got != want {
			t.Errorf("%s\nbecomes %s\nwant    %s", in, got, want)
		}
	}
}

func FuzzMillis(f *testing.F) {
	f.Add("2026-01-02T03:04:05Z", "at")
	f.Add(`":"2026-01-02T03:04:05Z","at":"`, "\x00")
	f.Fuzz(func(t *testing.T, value, other string) {
		text, err := json.Marshal(map[string]string{"note": value, "other": other, "at": time.Unix(0, 0).Format(time.RFC3339)})
		if err != nil {
			t.Fatal(err)
		}
		var was, is map[string]string
		if err := json.Unmarshal(text, &was); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(millis(text, map[string]bool{"at": true}), &is); err != nil {
			t.Fatal(err)
		}
		if is["note"] != was["note"] || is["other"] != was["other"] || is["at"] != "1970-01-01T00:00:00.000Z" {
			t.Fatalf("%v became %v", was, is)
		}
	})
}
