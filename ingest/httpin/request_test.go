package httpin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/foodflow/foodflow/ingest"
	"github.com/foodflow/foodflow/internal/fault"
	"github.com/foodflow/foodflow/internal/plant"
)

func (d *door) ask(t *testing.T, query string, header map[string]string, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/v1/readings"+query, strings.NewReader(body))
	r.Header.Set("X-API-Key", d.key)
	r.Header.Set("Content-Type", "application/json")
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// TestRefusalsByTheHead: what the head says is checked before the body, and the
// answer names what would be taken.
func TestRefusalsByTheHead(t *testing.T) {
	d := newDoor(t)
	body := fmt.Sprintf(`{"readings":[{"sensor":"temp","ts":%d,"value":1}]}`, d.now)
	for name, tc := range map[string]struct {
		query  string
		header map[string]string
		want   int
		says   string // header: value
	}{
		"plain":             {"", nil, 202, ""},
		"partial true":      {"?partial=true", nil, 202, ""},
		"partial false":     {"?partial=false&x=1", nil, 202, ""},
		"partial 1":         {"?partial=1", nil, 400, ""},
		"partial True":      {"?partial=True", nil, 400, ""},
		"partial empty":     {"?partial", nil, 400, ""},
		"partial twice":     {"?partial=true&partial=false", nil, 400, ""},
		"query unreadable":  {"?partial=%zz", nil, 400, ""},
		"identity":          {"", map[string]string{"Content-Encoding": "identity"}, 202, ""},
		"deflate":           {"", map[string]string{"Content-Encoding": "deflate"}, 415, "Accept-Encoding: gzip, zstd"},
		"br":                {"", map[string]string{"Content-Encoding": "br"}, 415, "Accept-Encoding: gzip, zstd"},
		"gzip twice":        {"", map[string]string{"Content-Encoding": "gzip, gzip"}, 415, "Accept-Encoding: gzip, zstd"},
		"gzip that is none": {"", map[string]string{"Content-Encoding": "gzip"}, 400, ""},
		"CSV":               {"", map[string]string{"Content-Type": "text/csv"}, 415, "Accept: application/json, application/x-ndjson, application/avro"},
		"no key":            {"", map[string]string{"X-API-Key": ""}, 401, "WWW-Authenticate: ApiKey realm=\"foodflow\""},
	} {
		t.Run(name, func(t *testing.T) {
			w := d.ask(t, tc.query, tc.header, body)
			if w.Code != tc.want {
				t.Errorf("answered %d, want %d: %s", w.Code, tc.want, w.Body)
			}
			if k, v, ok := strings.Cut(tc.says, ": "); ok && w.Header().Get(k) != v {
				t.Errorf("%s: %q, want %q", k, w.Header().Get(k), v)
			}
		})
	}
}

// TestCountsItems: an answer counts items apart from what is wrong with them,
// and lists a bounded part of it.
func TestCountsItems(t *testing.T) {
	d := newDoor(t)
	good := fmt.Sprintf(`{"sensor":"temp","ts":%d,"value":1}`, d.now)
	bad := `{"sensor":"","ts":"x","value":"y","seq":-1}` // four faults
	body := `{"readings":[` + good + strings.Repeat(","+bad, 60) + `]}`
	var got struct {
		Accepted, Rejected int
		Total              int `json:"errors_total"`
		Errors             []fault.Item
		Detail             string
	}
	w := d.ask(t, "", nil, body)
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	listed := ingest.DefaultLimits().Errors
	if w.Code != 422 || got.Rejected != 60 || got.Total != 240 || len(got.Errors) != listed || !strings.HasPrefix(got.Detail, "60 of 61 items") {
		t.Errorf("%d: rejected %d, total %d, listed %d, %s", w.Code, got.Rejected, got.Total, len(got.Errors), got.Detail)
	}
	got.Errors = nil
	w = d.ask(t, "?partial=true", nil, body)
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if w.Code != 202 || got.Accepted != 1 || got.Rejected != 60 || got.Total != 240 || len(got.Errors) != listed {
		t.Errorf("%d: %+v", w.Code, got)
	}
	if n := d.sink.records.Load(); n != 1 {
		t.Errorf("%d published, want 1", n)
	}
}

// TestSameKeyTogether: of many requests under one key one publishes, the others
// wait and get its answer; another body under the key is refused meanwhile; and
// a crowd of other keys doesn't make the door forget one that runs.
func TestSameKeyTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newKeys(4, 1<<20, time.Minute)
		name, sum := keyName{plant.NewID(), "a"}, [32]byte{1}
		var ran atomic.Int64
		work := func() (answer, error) {
			ran.Add(1)
			time.Sleep(10 * time.Second)
			return answer{Accepted: int(ran.Load()), Receipt: plant.NewID()}, nil
		}
		var wg sync.WaitGroup
		receipts := make([]answer, 20)
		for i := range receipts {
			wg.Go(func() {
				var err error
				if receipts[i], err = k.once(context.Background(), name, sum, work); err != nil {
					t.Error(err)
				}
			})
		}
		time.Sleep(time.Second)
		if _, err := k.once(context.Background(), name, [32]byte{2}, work); fault.KindOf(err) != fault.Invalid {
			t.Errorf("another body under a key that runs: %v", err)
		}
		for i := range 100 {
			if _, err := k.once(context.Background(), keyName{plant.NewID(), fmt.Sprint(i)}, sum, func() (answer, error) { return answer{}, nil }); err != nil {
				t.Error(err)
			}
		}
		late, err := k.once(context.Background(), name, sum, work)
		wg.Wait()
		if err != nil || ran.Load() != 1 {
			t.Errorf("ran %d times: %v", ran.Load(), err)
		}
		for _, a := range append(receipts, late) {
			if a.Receipt != receipts[0].Receipt {
				t.Error("two receipts under one key")
			}
		}
		time.Sleep(2 * time.Minute)
		if _, err := k.once(context.Background(), keyName{plant.NewID(), "z"}, sum, func() (answer, error) { return answer{}, nil }); err != nil || len(k.m) != 1 {
			t.Errorf("%d keys are remembered past their time: %v", len(k.m), err)
		}
	})
}

// TestKeysAreBounded: answers that list errors weigh more.
func TestKeysAreBounded(t *testing.T) {
	k := newKeys(1000, 100_000, time.Hour)
	long := answer{Errors: make([]fault.Item, 100)}
	for i := range long.Errors {
		long.Errors[i].Message = strings.Repeat("x", 100)
	}
	for i := range 500 {
		if _, err := k.once(context.Background(), keyName{plant.ID{}, fmt.Sprint(i)}, [32]byte{}, func() (answer, error) { return long, nil }); err != nil {
			t.Fatal(err)
		}
	}
	if k.held > 100_000 || len(k.m) > 6 || len(k.m) != k.order.Len() {
		t.Errorf("%d bytes, %d keys", k.held, len(k.m))
	}
}

// TestKeyByHTTP: the header does what once does, per API key.
func TestKeyByHTTP(t *testing.T) {
	d := newDoor(t)
	one := fmt.Sprintf(`{"readings":[{"sensor":"temp","ts":%d,"value":1}]}`, d.now)
	two := strings.Replace(one, "1}", "2}", 1)
	key := map[string]string{"Idempotency-Key": "batch-1"}
	first, again, other := d.ask(t, "", key, one), d.ask(t, "", key, one), d.ask(t, "", key, two)
	if first.Code != 202 || !bytes.Equal(first.Body.Bytes(), again.Body.Bytes()) || d.sink.records.Load() != 1 {
		t.Errorf("%d %s, again %s, published %d", first.Code, first.Body, again.Body, d.sink.records.Load())
	}
	if other.Code != 422 || !strings.Contains(other.Body.String(), `"rule":"reused"`) {
		t.Errorf("another body: %d %s", other.Code, other.Body)
	}
	if w := d.ask(t, "", map[string]string{"Idempotency-Key": strings.Repeat("k", 256)}, one); w.Code != 422 {
		t.Errorf("a long key: %d", w.Code)
	}
}
