package main_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
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

func (in *installation) login(email, password string) *caller {
	in.t.Helper()
	c := &caller{in: in}
	c.token, _ = c.do(http.MethodPost, in.API+"/api/v1/auth/login", map[string]string{"email": email, "password": password}, http.StatusOK)["access_token"].(string)
	return c
}
