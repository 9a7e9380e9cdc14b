package schemas

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestReadmeNamesEveryRecord holds the chapter's table to the schemas.
func TestReadmeNamesEveryRecord(t *testing.T) {
	var want strings.Builder
	want.WriteString("| schema | version | subject | what it is |\n|---|---|---|---|\n")
	for _, n := range everyName(t) {
		all, err := Versions(n)
		if err != nil {
			t.Fatal(err)
		}
		var r struct{ Doc string }
		if err := json.Unmarshal([]byte(all[len(all)-1]), &r); err != nil {
			t.Fatal(err)
		}
		subject := "–"
		if s := n.Subject(); s != "" {
			subject = "`" + s + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %d | %s | %s |\n", n, len(all), subject, r.Doc)
	}
	b, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	begin := strings.Index(text, "-->\n") + len("-->\n")
	end := strings.Index(text, "<!-- end -->")
	if begin < len("-->\n") || end < begin {
		t.Fatal("README.md has no place for the table")
	}
	if *publish {
		write(t, "README.md", []byte(text[:begin]+want.String()+text[end:]))
		return
	}
	if text[begin:end] != want.String() {
		t.Errorf("README.md says\n%s\nwant\n%s", text[begin:end], want.String())
	}
}
