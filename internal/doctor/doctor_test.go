package doctor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/foodflow/foodflow/internal/testkit/testcert"
)

func severity(found []Finding) Severity { return Report{found}.Worst() }

func TestJudgements(t *testing.T) {
	now := time.Now()
	ca := testcert.NewCA(t)
	cert := func(name string, left time.Duration) string { c, _ := ca.Issue(t, name, now.Add(left)); return c }
	_, key := ca.Issue(t, "k", now.Add(time.Hour))
	open := filepath.Join(t.TempDir(), "open")
	if err := errors.Join(os.WriteFile(open, []byte("x"), 0o600), os.Chmod(open, 0o644)); err != nil {
		t.Fatal(err)
	}
	run := func(c Check) []Finding { return c.Run(t.Context()) }
	const gib = 1 << 30
	for name, c := range map[string]struct {
		found []Finding
		want  Severity
	}{
		"room":                 {Room("d", 50*gib, 100*gib), OK},
		"little room":          {Room("d", 4*gib, 8*gib), Warning},
		"a small share":        {Room("d", 9*gib, 100*gib), Warning},
		"no room":              {Room("d", gib/2, 100*gib), Error},
		"files":                {openFiles(1 << 20), OK},
		"few files":            {openFiles(1024), Warning},
		"the same time":        {Skew(now, now.Add(-time.Millisecond), now.Add(time.Millisecond)), OK},
		"within a slow answer": {Skew(now, now.Add(-5*time.Second), now), OK},
		"ahead":                {Skew(now.Add(3*time.Second), now, now), Warning},
		"far behind":           {Skew(now.Add(-time.Minute), now, now), Error},
		"a long certificate":   {run(Certificates("c", cert("long", 60*24*time.Hour), now)), OK},
		"one that ends soon":   {run(Certificates("c", cert("soon", 20*24*time.Hour), now)), Warning},
		"one that ends now":    {run(Certificates("c", cert("urgent", 3*24*time.Hour), now)), Error},
		"one that has ended":   {run(Certificates("c", cert("ended", -time.Minute), now)), Error},
		"no certificate":       {run(Certificates("c", key, now)), Error},
		"no file":              {run(Certificates("c", "nowhere", now)), Error},
		"a private file":       {run(PrivateFile("p", key)), OK},
		"an open file":         {run(PrivateFile("p", open)), Warning},
		"no private file":      {run(PrivateFile("p", "nowhere")), Error},
		"a disk":               {run(Disk("d", "/nowhere")), Error},
	} {
		if got := severity(c.found); got != c.want || len(c.found) == 0 {
			t.Errorf("%s: %v, want %v: %+v", name, got, c.want, c.found)
		}
	}
}

// A check that hangs is a finding, and holds up no other.
func TestRun(t *testing.T) { synctest.Test(t, runs) }

func runs(t *testing.T) {
	checks := []Check{
		{"hangs", func(context.Context) []Finding { <-t.Context().Done(); return nil }},
		{"fine", func(context.Context) []Finding { return Fine("all %s", "well") }},
		{"warns", func(context.Context) []Finding {
			return []Finding{{Severity: Warning, What: "w", Means: "m", Mend: "x"}, {Check: "other", What: "o"}}
		}},
	}
	r := Run(t.Context(), checks, 50*time.Millisecond)
	if len(r.Findings) != 4 || r.Worst() != Error || r.Findings[0].Check != "hangs" || r.Findings[3].Check != "other" {
		t.Fatalf("%+v", r)
	}
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil || !strings.HasPrefix(b.String(), "error   hangs: ") || !strings.Contains(b.String(), "warning warns: w\n        m\n        x\n") {
		t.Errorf("%q, %v", b.String(), err)
	}
	body, err := json.Marshal(r)
	if err != nil || !strings.Contains(string(body), `{"check":"fine","severity":"ok","what":"all well"}`) {
		t.Errorf("%s, %v", body, err)
	}
	for _, c := range []struct {
		severity Severity
		code     int
	}{{OK, 0}, {Warning, 1}, {Error, 2}} {
		if got := (Report{[]Finding{{Severity: c.severity}}}).Worst(); int(got) != c.code {
			t.Errorf("%v ends with %d", c.severity, got)
		}
	}
}

func TestRedacted(t *testing.T) {
	if got := Redacted(errors.New("dialing postgres://u:c4n4ry@h/d: refused")); strings.Contains(got, "c4n4ry") || !strings.Contains(got, "h/d") {
		t.Error(got)
	}
}
