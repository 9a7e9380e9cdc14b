package fault_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/foodflow/foodflow/internal/fault"
)

// TestEveryTypeHasItsPage follows the type of each problem to its page.
func TestEveryTypeHasItsPage(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range fault.Kinds() {
		d, _ := fault.Describe(fault.New(k, "x"))
		w := httptest.NewRecorder()
		fault.ServePage(w, httptest.NewRequestWithContext(t.Context(), "GET", d.Type, nil))
		text := w.Body.String()
		if w.Code != 200 || !strings.Contains(text, "<code>"+d.Type+"</code>") || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/html") || seen[text] {
			t.Errorf("%s: %d %s", d.Type, w.Code, text)
		}
		seen[text] = true
	}
	w := httptest.NewRecorder()
	fault.ServePage(w, httptest.NewRequestWithContext(t.Context(), "GET", fault.TypePath+"none", nil))
	if w.Code != 404 || len(seen) != 15 {
		t.Errorf("%d pages; of no type %d", len(seen), w.Code)
	}
}
