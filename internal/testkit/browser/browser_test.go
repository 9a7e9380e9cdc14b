package browser

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/foodflow/foodflow/internal/testkit/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// ill is a page with one of everything that may be wrong; fine has nothing.
const (
	policy = "default-src 'none'; script-src 'self'; img-src 'self'; connect-src 'self' %s"
	ill    = `<!doctype html><html lang="en"><title>Ill</title><link rel="icon" href="/icon"><img src="https://cdn.example/logo.svg"><script>inline()</script><script src="/ill.js"></script></html>`
	script = `console.error("something", 5); fetch("/missing"); fetch("%s/elsewhere", {mode: "no-cors"}); setTimeout(() => { throw new Error("thrown") }, 0); Promise.reject(new Error("unhandled"));`
	fine   = `<!doctype html><html lang="en"><title>Fine</title><link rel="icon" href="/icon"><input id="field" value="old"><button>Go</button><p></p><script src="/fine.js"></script></html>`
	works  = `document.querySelector("button").addEventListener("click", async () => { const r = await fetch("/icon"); document.querySelector("p").innerText = r.status + " " + document.querySelector("#field").value; });`
)

func site(t *testing.T) string {
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(other.Close)
	files := map[string]string{"/ill": ill, "/ill.js": fmt.Sprintf(script, other.URL), "/fine": fine, "/fine.js": works, "/icon": ""}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, ok := files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		kind := "text/html"
		if strings.HasSuffix(r.URL.Path, ".js") {
			kind = "text/javascript"
		}
		w.Header().Set("Content-Type", kind)
		w.Header().Set("Content-Security-Policy", fmt.Sprintf(policy, other.URL))
		_, _ = io.WriteString(w, text)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// TestEveryComplaintIsHeard opens a page with one of each fault, which must be
// told, and one that works, of which nothing may be.
func TestEveryComplaintIsHeard(t *testing.T) {
	b, url := Start(t), site(t)
	good := b.Open(url+"/fine", Desktop())
	good.Clear("#field")
	good.Type("#field", "new")
	good.Press("\t\r") // the button has the focus next
	good.WaitText("p", "200 new")
	if w := Get[int](b.Open(url+"/fine", Phone()), "window.screen.width"); w != 390 {
		t.Errorf("a phone is %d wide", w)
	}
	dir := t.TempDir()
	file, err := good.Screenshot(dir)
	if err != nil {
		t.Fatal(err)
	}
	if png, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(png), "\x89PNG") || filepath.Dir(file) != dir {
		t.Errorf("screenshot %s: %d bytes, %v", file, len(png), err)
	}

	bad := b.Open(url+"/ill", Desktop())
	for _, want := range []string{
		"console: something 5", "exception: Uncaught Error: thrown", "exception: Uncaught (in promise) Error: unhandled",
		"policy: img-src refuses", "policy: script-src", "foreign: https://cdn.example/logo.svg", "status: 404 to GET " + url + "/missing", "/elsewhere",
	} {
		for deadline := time.Now().Add(patience); !strings.Contains(strings.Join(bad.Complaints(), "\n"), want); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no %q in %q", want, bad.Complaints())
			}
		}
	}
	// Behind what comes of a page that is left, nothing does.
	bad.do(patience, "leaving", chromedp.Navigate(url+"/fine"))
	t.Logf("%q", bad.Complaints())
	if n := bad.Forgive(""); n < 8 || len(bad.Complaints()) != 0 {
		t.Errorf("%d forgiven, %d left", n, len(bad.Complaints()))
	}
}
