package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/foodflow/foodflow/ingest/httpin"
	"github.com/foodflow/foodflow/ingest/kafkaout"
	"github.com/foodflow/foodflow/internal/broker"
	"github.com/foodflow/foodflow/internal/plant"
	"github.com/foodflow/foodflow/schemas"
)

// ingestTime is how long each door is loaded.
const ingestTime = 3 * time.Second

// clients load a door at once.
const clients = 16

// ingestHTTP measures the door against a handler that decodes with the standard
// library's JSON package into a struct, encodes, produces with the same
// settings and waits for the ack: no key, no directory, no rules, no limits.
func ingestHTTP(ctx context.Context, e Env) (map[string]Result, error) {
	b, err := newBed(ctx, e)
	if err != nil {
		return nil, err
	}
	defer b.stop()
	svc, out, key, err := b.service()
	if err != nil {
		return nil, err
	}
	defer out.Close(ctx)
	door := httpin.New(httpin.DefaultConfig(), svc, e.Logger)
	if err := door.Start(ctx, func(error) {}); err != nil {
		return nil, err
	}
	defer door.Stop(ctx)
	bareURL, bareStop, err := bareHandler(ctx, b.kafka, b.codec)
	if err != nil {
		return nil, err
	}
	defer bareStop()
	results := map[string]Result{}
	for _, n := range []int{1, 100, 1000} {
		r, err := inTurn(
			func() (float64, error) { return pour(ctx, bareURL, "", n) },
			func() (float64, error) { return pour(ctx, "http://"+door.Addr()+"/v1/readings", key, n) })
		if err != nil {
			return nil, err
		}
		results[fmt.Sprintf("ingest-http-%d", n)] = r
	}
	return results, nil
}

// bareHandler is the ceiling.
func bareHandler(ctx context.Context, kafka broker.Config, c *schemas.Codec) (string, func(), error) {
	out, err := kafkaout.New(kafka, kafkaout.DefaultConfig())
	if err != nil {
		return "", nil, err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	type reading struct {
		Sensor string  `json:"sensor"`
		TS     int64   `json:"ts"`
		Value  float64 `json:"value"`
		Seq    int64   `json:"seq"`
	}
	line := plant.NewID()
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			Readings []reading `json:"readings"`
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		values := make([][]byte, len(body.Readings))
		for i, x := range body.Readings {
			values[i] = c.AppendReading(nil, &plant.Reading{Line: line, TS: x.TS, Value: x.Value, Seq: x.Seq})
		}
		if err := out.PublishRaw(r.Context(), broker.TopicReadings, line[:], values); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusAccepted)
	})}
	go func() { _ = srv.Serve(l) }() // ends with Close
	return "http://" + l.Addr().String(), func() { srv.Close(); _ = out.Close(ctx) }, nil
}

// pour sends requests of n readings from several clients and gives the readings
// acknowledged a second.
func pour(ctx context.Context, url, key string, n int) (float64, error) {
	var (
		wg    sync.WaitGroup
		total atomic.Int64
		fail  atomic.Pointer[error]
	)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer client.CloseIdleConnections()
	began := time.Now()
	for w := range clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			var body bytes.Buffer
			for seq := 0; time.Since(began) < ingestTime; seq += n {
				if body.Len() == 0 || seq%(64*n) == 0 {
					compose(&body, w, seq, n)
				}
				if err := post(ctx, client, url, key, body.Bytes()); err != nil {
					fail.Store(&err)
					return
				}
				total.Add(int64(n))
			}
		}()
	}
	wg.Wait()
	if p := fail.Load(); p != nil {
		return 0, *p
	}
	return float64(total.Load()) / time.Since(began).Seconds(), nil
}

func compose(b *bytes.Buffer, client, seq, n int) {
	b.Reset()
	b.WriteString(`{"readings":[`)
	now := time.Now().UnixMilli()
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(b, `{"sensor":"machine-temperature","ts":%d,"value":%d.%d,"seq":%d}`, now+int64(i), 60+i%20, client, seq+i)
	}
	b.WriteString("]}")
}

func post(ctx context.Context, client *http.Client, url, key string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-API-Key", key)
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusAccepted {
		return fmt.Errorf("answered %d: %s", resp.StatusCode, text)
	}
	return nil
}
