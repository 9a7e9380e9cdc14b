package clickhouse

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Stream runs a statement in the client's database and copies its output to w
// as it comes. Only ctx bounds it: what a statement reads may take hours. An
// error in the middle of the output may look like its end; who must know counts
// the rows.
func (c *Client) Stream(ctx context.Context, statement string, settings url.Values, w io.Writer) error {
	q := url.Values{"database": {c.cfg.Database}, "query": {statement}}
	for k, v := range settings {
		q[k] = v
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(c.cfg.URL, "/")+"/?"+q.Encode(), nil)
	if err != nil {
		return fmt.Errorf("making request: %w", err)
	}
	req.Header.Set("X-ClickHouse-User", c.cfg.User)
	if c.cfg.Password != "" {
		req.Header.Set("X-ClickHouse-Key", c.cfg.Password)
	}
	resp, err := (&http.Client{Transport: c.http.Transport}).Do(req)
	if err != nil {
		return fmt.Errorf("asking clickhouse: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // what came of it is told
		code, _ := strconv.Atoi(resp.Header.Get("X-ClickHouse-Exception-Code"))
		return &Exception{Status: resp.StatusCode, Code: code, Text: string(text)}
	}
	if _, err := io.Copy(w, resp.Body); err != nil {
		return fmt.Errorf("reading clickhouse's answer: %w", err)
	}
	return nil
}
