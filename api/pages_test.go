package api

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/demo"
	"github.com/foodflow/foodflow/internal/testkit/browser"
)

// TestPages opens the documentation in a browser, which must find nothing to
// complain of, and uses it as a person would who meets the API for the first
// time.
func TestPages(t *testing.T) {
	w := newWorld(t)
	s := httptest.NewServer(w.s.Handler())
	t.Cleanup(s.Close)
	b := browser.Start(t)
	t.Run("swagger", func(t *testing.T) { swaggerAtDesk(t, w, b.With(t), s.URL) })
	t.Run("swagger on a phone", func(t *testing.T) { swaggerOnPhone(t, b.With(t), s.URL) })
	t.Run("redoc", func(t *testing.T) { redocAtDesk(t, w, b.With(t), s.URL) })
	t.Run("redoc on a phone", func(t *testing.T) { redocOnPhone(t, b.With(t), s.URL) })
}

// named holds a page's language and title, which a reader for the blind says
// first.
func named(t *testing.T, p *browser.Page, title string) {
	t.Helper()
	if got := browser.Get[string](p, `document.documentElement.lang + ": " + document.title`); got != "en: "+title {
		t.Errorf("the page is %q", got)
	}
}

// swaggerAtDesk finds every route, logs in, and calls a route that answers and
// one that refuses.
func swaggerAtDesk(t *testing.T, w *world, b *browser.Browser, url string) {
	p := b.Open(url+"/api/docs", browser.Desktop())
	p.WaitText(".opblock-tag", "lines")
	named(t, p, "Try the FoodFlow API")
	var want, tags []string
	for _, r := range w.routes() {
		want = append(want, r.method+" "+r.path)
		tags = append(tags, r.op.Tags...)
	}
	shown := browser.Get[[]string](p, `[...document.querySelectorAll(".opblock")].map(e => e.querySelector(".opblock-summary-method").innerText + " " + e.querySelector(".opblock-summary-path").dataset.path)`)
	sections := browser.Get[[]string](p, `[...document.querySelectorAll(".opblock-tag")].map(e => e.dataset.tag)`)
	same(t, "routes", shown, want)
	same(t, "tags", sections, tags)

	login := operation(p, "login")
	p.Clear(login + " textarea")
	p.Paste(login+" textarea", fmt.Sprintf(`{"email":%q,"password":%q}`, demo.AdminEmail, w.seed.Password))
	answer := execute(p, login, "200")
	_, token, _ := strings.Cut(answer, `"access_token": "`)
	token, _, ok := strings.Cut(token, `"`)
	if !ok {
		t.Fatalf("no token in %s", answer)
	}
	// By keyboard alone: to the button and into the field.
	p.Click(".info .title")
	tabTo(p, ".btn.authorize")
	p.Press("\r")
	p.Wait(`document.querySelector("#auth-bearer-value")`)
	p.Paste("#auth-bearer-value", token)
	p.Press("\r")
	p.WaitText(".auth-container", "Authorized")
	p.Click(".modal-ux .btn-done")
	if got := execute(p, operation(p, "list-line"), "200"); !strings.Contains(got, `"key": "`+demo.Bottling+`"`) {
		t.Errorf("the lines are %s", got)
	}
	create := operation(p, "create-line")
	p.Clear(create + " textarea")
	p.Paste(create+" textarea", `{"key":"a b","name":"A","unit":"jar","time_zone":"Mars/Olympus"}`)
	if got := execute(p, create, "422"); !strings.Contains(got, `"location": "key"`) || !strings.Contains(got, `"rule"`) || !strings.Contains(got, "time_zone") {
		t.Errorf("the refusal is %s", got)
	}
	if n := p.Forgive("status: 422 to POST " + url + "/api/v1/plant-ops/lines"); n != 1 {
		t.Errorf("%d refusals", n)
	}
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	slices.Sort(got)
	slices.Sort(want)
	got, want = slices.Compact(got), slices.Compact(want)
	if !slices.Equal(got, want) || len(want) < 10 {
		t.Errorf("%d %s are shown, want %d:\n%q\n%q", len(got), what, len(want), got, want)
	}
}

// operation opens an operation of Swagger UI to be tried, and gives its selector.
func operation(p *browser.Page, id string) string {
	css := fmt.Sprintf(`.opblock[id$="-%s"]`, id)
	p.Click(css + " .opblock-summary-control")
	p.Click(css + " .try-out__btn")
	p.Wait(fmt.Sprintf("document.querySelector(%q)", css+" .execute"))
	return css
}

// execute sends what was filled in and gives the answer as it is shown.
func execute(p *browser.Page, css, status string) string {
	p.Click(css + " .execute")
	p.WaitText(css+" .live-responses-table .response-col_status", status)
	return browser.Get[string](p, fmt.Sprintf("document.querySelector(%q).innerText", css+" .live-responses-table .response .response-col_description"))
}

// tabTo presses the tab key until css has the focus, and holds that it is seen
// to have it.
func tabTo(p *browser.Page, css string) {
	for range 100 {
		p.Press("\t")
		if browser.Get[bool](p, fmt.Sprintf("document.activeElement.matches(%q)", css)) {
			p.Wait(`(s => s.outlineStyle !== "none" || s.boxShadow !== "none")(getComputedStyle(document.activeElement))`)
			return
		}
	}
	p.Wait(fmt.Sprintf("document.activeElement.matches(%q)", css)) // says what is missing
}

// fits holds that nothing is wider than the window.
func fits(t *testing.T, p *browser.Page) {
	t.Helper()
	if w := browser.Get[int](p, "Math.max(document.documentElement.scrollWidth, innerWidth)"); w != 390 {
		t.Errorf("the page is %d wide on a phone of 390", w)
	}
}

func swaggerOnPhone(t *testing.T, b *browser.Browser, url string) {
	p := b.Open(url+"/api/docs", browser.Phone())
	p.WaitText(".opblock-tag", "lines")
	fits(t, p)
	health := operation(p, "health")
	if got := execute(p, health, "200"); !strings.Contains(got, `"status": "ok"`) {
		t.Errorf("health is %s", got)
	}
	fits(t, p)
}

// redocAtDesk finds an operation by searching for it, and its example.
func redocAtDesk(t *testing.T, w *world, b *browser.Browser, url string) {
	p := b.Open(url+"/api/redoc", browser.Desktop())
	p.WaitText("h1", "FoodFlow")
	named(t, p, "FoodFlow API reference")
	p.Wait(fmt.Sprintf(`document.querySelectorAll("[id*='/operation/']").length >= %d`, len(w.routes())))
	tabTo(p, "input")
	p.Press("downtime")
	p.WaitText(`[role="search"] li`, "Stops of a line")
	p.Click(`[role="search"] li`)
	p.Wait(`location.hash.includes("operation")`)
	p.WaitText("code", "line_id") // the answer's example
}

func redocOnPhone(t *testing.T, b *browser.Browser, url string) {
	p := b.Open(url+"/api/redoc", browser.Phone())
	p.WaitText("h1", "FoodFlow")
	fits(t, p)
	const menu = `document.querySelector("input").getBoundingClientRect()`
	p.Wait(menu + ".bottom <= 0 || " + menu + ".width === 0") // it is away
	p.Tap(340, 770)                                           // its button has no name
	p.Wait(menu + ".top >= 0 && " + menu + ".width > 200")
	p.Tap(100, 60) // the first of its lines
	fits(t, p)
}
