package browser

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Size is a window.
type Size struct {
	Width, Height int64
	Touch         bool // a phone: fingers, and the page's own idea of its width
}

// Desktop is the size of a small screen at a desk.
func Desktop() Size { return Size{Width: 1280, Height: 900} }

// Phone is that of a common one, upright.
func Phone() Size { return Size{Width: 390, Height: 844, Touch: true} }

// Page is one tab, with a profile of its own.
type Page struct {
	t   testing.TB
	ctx context.Context // chromedp's handle of the tab
	complaints
}

// Open opens address and waits until it is loaded. When the test ends, each
// complaint that was not forgiven is an error.
func (b *Browser) Open(address string, size Size) *Page {
	b.t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		b.t.Fatal(err)
	}
	p := &Page{t: b.t, complaints: complaints{origin: u.Scheme + "://" + u.Host, requests: map[network.RequestID]string{}}}
	ctx, closed := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext(), chromedp.WithListener(p.hear))
	p.ctx = ctx
	b.t.Cleanup(closed)
	b.t.Cleanup(p.end)
	var look []chromedp.EmulateViewportOption
	if size.Touch {
		look = append(look, chromedp.EmulateMobile, chromedp.EmulateTouch)
	}
	// The first action makes the tab, which lives as long as its context.
	p.do(0, "making a tab", chromedp.EmulateViewport(size.Width, size.Height, look...))
	if _, err := chromedp.Call(ctx, audits.Enable, cdp.Empty{}); err != nil {
		b.t.Fatal("asking for breaches of policy: ", err)
	}
	p.do(patience, "opening "+address, chromedp.Navigate(address))
	return p
}

// do takes steps within a time; 0 is without a limit.
func (p *Page) do(limit time.Duration, what string, steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx := p.ctx
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatalf("%s: %v", what, err)
	}
}

// Get evaluates a JavaScript expression in the page.
func Get[T any](p *Page, expression string) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		p.t.Fatalf("evaluating %s: %v", expression, err)
	}
	return v
}

// Wait waits until a JavaScript expression is true. It asks from outside: a
// function in the page would be refused by its policy.
func (p *Page) Wait(expression string) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !Get[bool](p, "!!("+expression+")"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("waited in vain for %s", expression)
		}
	}
}

// WaitText waits until an element that css finds shows text.
func (p *Page) WaitText(css, text string) {
	p.t.Helper()
	p.Wait(fmt.Sprintf("[...document.querySelectorAll(%q)].some(e => e.innerText.includes(%q))", css, text))
}

// Click clicks the first element that css finds, where a person would.
func (p *Page) Click(css string) {
	p.t.Helper()
	p.do(patience, "clicking "+css, chromedp.ScrollIntoView(chromedp.CSS(css)), chromedp.Click(chromedp.CSS(css)))
}

// Tap touches a point of the window.
func (p *Page) Tap(x, y float64) {
	p.t.Helper()
	p.do(patience, "tapping", chromedp.TapXY(x, y))
}

// Type clicks a field and types text into it.
func (p *Page) Type(css, text string) {
	p.t.Helper()
	p.do(patience, "typing into "+css, chromedp.SendKeys(chromedp.CSS(css), text))
}

// Paste focuses a field and puts text in, at once.
func (p *Page) Paste(css, text string) {
	p.t.Helper()
	p.do(patience, "pasting into "+css, chromedp.Focus(chromedp.CSS(css)), func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, input.InsertText, input.InsertTextParams{Text: text})
		return chromedp.Void{}, err
	})
}

// Clear empties a field, as a person who selects all of it and deletes it.
func (p *Page) Clear(css string) {
	p.t.Helper()
	p.do(patience, "emptying "+css, chromedp.Focus(chromedp.CSS(css)))
	Get[bool](p, fmt.Sprintf("(document.querySelector(%q).select(), true)", css))
	p.Press("\b")
}

// Press presses keys, which go to what has the focus: "\t", "\r", "abc".
func (p *Page) Press(keys string) {
	p.t.Helper()
	p.do(patience, "pressing keys", chromedp.KeyEvent(keys))
}

// end reports what was complained of, and takes the picture of a failure.
func (p *Page) end() {
	for _, c := range p.Complaints() {
		p.t.Error("the browser complains: ", c)
	}
	dir := os.Getenv("FOODFLOW_TEST_SCREENSHOTS")
	if !p.t.Failed() && dir == "" {
		return
	}
	file, err := p.Screenshot(dir)
	if err != nil {
		p.t.Logf("no screenshot: %v", err)
		return
	}
	p.t.Log("screenshot: ", file)
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9]+`)

// Screenshot writes what the window shows into dir ("" is the machine's folder
// for temporary files), and gives the file's path.
func (p *Page) Screenshot(dir string) (string, error) {
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	if err != nil {
		return "", fmt.Errorf("taking a screenshot: %w", err)
	}
	if dir == "" {
		dir = os.TempDir()
	}
	f, err := os.CreateTemp(dir, strings.Trim(notInNames.ReplaceAllString(p.t.Name(), "-"), "-")+"-*.png")
	if err != nil {
		return "", fmt.Errorf("keeping a screenshot: %w", err)
	}
	_, err = f.Write(png)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return "", fmt.Errorf("keeping a screenshot: %w", err)
	}
	return filepath.Clean(f.Name()), nil
}
