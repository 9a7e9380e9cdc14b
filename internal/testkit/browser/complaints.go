package browser

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
)

// complaints is what a browser says is wrong with a page.
type complaints struct {
	origin string

	mu       sync.Mutex // guards what follows
	requests map[network.RequestID]string
	list     []string
}

// Complaints are those of now, in the order they came.
func (c *complaints) Complaints() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.list)
}

// Forgive takes out the complaints that hold part and says how many there were:
// a test that provokes an error counts it.
func (c *complaints) Forgive(part string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := len(c.list)
	c.list = slices.DeleteFunc(c.list, func(s string) bool { return strings.Contains(s, part) })
	return before - len(c.list)
}

// hear is called by the goroutine that reads the tab's messages, so it only
// notes.
func (c *complaints) hear(ev any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add := func(format string, args ...any) { c.list = append(c.list, fmt.Sprintf(format, args...)) }
	switch e := ev.(type) {
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeAssert {
			add("console: %s", said(e.Args))
		}
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if x := e.ExceptionDetails.Exception; x != nil {
			text += " " + x.Description
		}
		add("exception: %s", text)
	case *log.EventEntryAdded:
		// What failed to load is told by the network's own events, with more.
		if e.Entry.Level == log.EntryLevelError && e.Entry.Source != log.EntrySourceNetwork {
			add("log: %s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *audits.EventIssueAdded:
		if d := e.Issue.Details; d != nil && d.ContentSecurityPolicyIssueDetails != nil {
			v := d.ContentSecurityPolicyIssueDetails
			add("policy: %s refuses %s %s", v.ViolatedDirective, v.ContentSecurityPolicyViolationType, v.BlockedURL)
		}
	case *network.EventRequestWillBeSent:
		c.requests[e.RequestID] = e.Request.Method + " " + e.Request.URL
		if !c.own(e.Request.URL) {
			add("foreign: %s", e.Request.URL)
		}
	case *network.EventResponseReceived:
		if e.Response.Status >= 400 {
			add("status: %d to %s", e.Response.Status, c.requests[e.RequestID])
		}
	case *network.EventWebSocketCreated:
		if !c.own(strings.Replace(e.URL, "ws", "http", 1)) {
			add("foreign: %s", e.URL)
		}
	case *network.EventLoadingFailed:
		if !e.Canceled { // by the page itself, as a stream it closes
			add("failed: %s: %s %s", c.requests[e.RequestID], e.ErrorText, e.BlockedReason)
		}
	}
}

// own says whether a URL asks the page's own origin, or nobody at all.
func (c *complaints) own(url string) bool {
	return url == c.origin || strings.HasPrefix(url, c.origin+"/") || strings.HasPrefix(url, "data:") || strings.HasPrefix(url, "blob:"+c.origin+"/")
}

func said(args []*runtime.RemoteObject) string {
	var out []string
	for _, a := range args {
		if a.Description != "" {
			out = append(out, a.Description)
		} else {
			out = append(out, strings.Trim(string(a.Value), `"`))
		}
	}
	return strings.Join(out, " ")
}
