package main_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// caller speaks HTTP for one tenant.
type caller struct {
	in    *installation
	token string
	key   string
}

func (c *caller) do(method, url string, body any, want int) map[string]any {
	c.in.t.Helper()
	var b bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&b).Encode(body); err != nil {
			c.in.t.Fatal(err)
		}
	}
	req, err := http.NewRequestWithContext(c.in.t.Context(), method, url, &b)
	if err != nil {
		c.in.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if method == http.MethodDelete {
		req.Header.Set("If-Match", "*")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	} else if c.key != "" {
		req.Header.Set("X-API-Key", c.key)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.in.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		c.in.t.Fatal(err)
	}
	if resp.StatusCode != want {
		c.in.t.Fatalf("%s %s: %d, want %d: %s", method, url, resp.StatusCode, want, text)
	}
	var v map[string]any
	_ = json.Unmarshal(text, &v) // an answer without a body leaves it nil
	return v
}

// login logs in as soon as the API knows the tenant, which may just have been
// made.
func (in *installation) login(email, password string) *caller {
	in.t.Helper()
	c := &caller{in: in}
	in.until("the API knows "+email, func() bool {
		a := in.tryLogin(0, email, password)
		if a.status == http.StatusServiceUnavailable {
			return false
		}
		var tokens struct {
			Access string `json:"access_token"`
		}
		if a.err != nil || a.status != http.StatusOK || json.Unmarshal(a.body, &tokens) != nil {
			in.t.Fatalf("log-in of %s: %d %s %v", email, a.status, a.body, a.err)
		}
		c.token = tokens.Access
		return true
	})
	return c
}

// patience is how long something may take that must come about. It is a bound
// for a machine that does other things, not a measure.
const patience = 4 * time.Minute

// until looks until something is so.
func (in *installation) until(what string, ok func() bool) time.Duration {
	in.t.Helper()
	start := time.Now()
	for !ok() {
		if time.Since(start) > patience {
			in.t.Fatalf("never: %s\n%s", what, in.tail())
		}
		time.Sleep(5 * time.Millisecond)
	}
	return time.Since(start)
}

// metric sums the series of a name that have a label; not ok is that none is
// shown, as while a process is being started again.
func (in *installation) metric(name, label string) (sum float64, ok bool) {
	in.t.Helper()
	resp, err := http.Get(in.Admin + "/metrics")
	if err != nil {
		return 0, false
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		if !strings.HasPrefix(line, name+"{") || !strings.Contains(line, label) {
			continue
		}
		n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
		if err != nil {
			in.t.Fatal(line, err)
		}
		sum, ok = sum+n, true
	}
	return sum, ok
}

// everybodyKnows waits until api and processors have what ingest has of the
// directory.
func (in *installation) everybodyKnows() {
	in.t.Helper()
	in.until("api and processors know what ingest knows", func() bool {
		n, ok := in.metric("foodflow_directory_entries_total", `role="ingest"`)
		for _, role := range []string{"api", "processors"} {
			m, has := in.metric("foodflow_directory_entries_total", `role="`+role+`"`)
			ok = ok && has && m >= n
		}
		return ok
	})
}
