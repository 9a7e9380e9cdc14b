package browser

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// Browser is one Chromium process, which ends with its test.
type Browser struct {
	t   testing.TB
	ctx context.Context // chromedp's handle of the process
}

// patience is how long a page may take to show what is waited for. It is a
// bound for a loaded machine, not a measure.
const patience = 60 * time.Second

// Start starts a browser.
func Start(t testing.TB) *Browser {
	t.Helper()
	bin := find()
	if bin == "" {
		if os.Getenv("REQUIRE_SERVICES") == "" {
			t.Skip("needs chromium: none found")
		}
		t.Fatal("finding chromium: none found")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(bin), chromedp.DisableGPU)
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium's sandbox refuses root
	}
	// Not the test's own context: that ends before the clean-ups, and with it
	// the browser would, before a screenshot could be taken.
	ctx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, closed := chromedp.NewContext(ctx)
	t.Cleanup(closed) // waits until the process has ended
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("starting %s: %v", bin, err)
	}
	return &Browser{t: t, ctx: ctx}
}

// With is the same browser for a part of the test: its pages end with t.
func (b *Browser) With(t testing.TB) *Browser { return &Browser{t: t, ctx: b.ctx} }

// find gives the path of a browser of Chromium's family, or "".
func find() string {
	for _, name := range strings.Fields("chromium chromium-browser chromium-headless-shell google-chrome-stable google-chrome") {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}
