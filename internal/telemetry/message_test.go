package telemetry

import (
	"strings"
	"testing"
)

const (
	asked   = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	unasked = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
)

// TestMessageGoesOnInItsSendersTrace: a sampled parent is gone on with, state and
// all; any other leaves the decision to the configuration.
func TestMessageGoesOnInItsSendersTrace(t *testing.T) {
	r := newReceiver(t)
	for name, c := range map[string]struct {
		sample        float64
		parent, state string
		traced, same  bool
	}{
		"none, all":             {1, "", "", true, false},
		"none, none":            {0, "", "", false, false},
		"asked, none":           {0, asked, "a=1,b=2", true, true},
		"not asked, none":       {0, unasked, "", false, false},
		"not asked, all":        {1, unasked, "", true, false},
		"no trace at all, none": {0, "00-zz", "", false, false},
		"state that is none":    {0, asked, "=", true, true},
		"state that is long":    {0, asked, "a=" + strings.Repeat("x", 600), true, true},
	} {
		tr := tracer(t, r, c.sample)
		s, headers := tr.Message("PUBLISH", c.parent, c.state)
		if s.Recording() != c.traced || (headers != nil) != c.traced {
			t.Errorf("%s: recording %v, headers %v", name, s.Recording(), headers)
		}
		if c.traced {
			h := string(headers[0].Value)
			if headers[0].Name != HeaderName || (h[3:35] == asked[3:35]) != c.same || h[36:52] == asked[36:52] || !strings.HasSuffix(h, "-01") {
				t.Errorf("%s: goes on as %s", name, h)
			}
			if want := c.state == "a=1,b=2"; want != (len(headers) == 2) || want && string(headers[1].Value) != c.state {
				t.Errorf("%s: state goes on as %v", name, headers[1:])
			}
		}
		s.End(nil)
		if err := tr.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	spans, _ := r.all()
	if len(spans) != 5 {
		t.Errorf("%d spans, want 5", len(spans))
	}
}

// TestMessageThatIsNotTracedIsFree: off, or not sampled, nothing is allocated.
func TestMessageThatIsNotTracedIsFree(t *testing.T) {
	on := tracer(t, newReceiver(t), 0)
	for name, tr := range map[string]*Tracer{"off": nil, "not sampled": on} {
		if n := testing.AllocsPerRun(100, func() {
			s, h := tr.Message("PUBLISH", "", "")
			if h != nil {
				t.Error("headers")
			}
			s.End(nil)
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	if err := on.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
}
