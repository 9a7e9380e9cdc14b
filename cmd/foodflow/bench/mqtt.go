package bench

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/foodflow/foodflow/ingest/kafkaout"
	"github.com/foodflow/foodflow/ingest/mqttin"
)

// ingestMQTT measures the MQTT door at QoS 1 against a bare mochi listener whose
// hook decodes with the standard library's JSON package, encodes, produces with
// the same settings, and acknowledges in order once Kafka did, as many messages
// on their way as the client likes: no key, no directory, no rules, no limits.
func ingestMQTT(ctx context.Context, e Env) (map[string]Result, error) {
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
	door, err := mqttin.New(mqttin.DefaultConfig(), svc, kafkaout.DeadLetters{Out: out, Encoder: b.codec}, e.Logger, nil)
	if err != nil {
		return nil, err
	}
	if err := door.Start(ctx); err != nil {
		return nil, err
	}
	defer door.Stop(ctx)
	bare, bareStop, err := bareMQTT(ctx, b.kafka, b.codec)
	if err != nil {
		return nil, err
	}
	defer bareStop()
	results := map[string]Result{}
	for _, n := range []int{1, 100} {
		r, err := inTurn(
			func() (float64, error) { return pourMQTT(ctx, bare, key, n) },
			func() (float64, error) { return pourMQTT(ctx, door.Addr(), key, n) })
		if err != nil {
			return nil, err
		}
		results[fmt.Sprintf("ingest-mqtt-%d", n)] = r
	}
	return results, nil
}

// How a client of the load keeps messages on their way: so many bursts, of so
// many messages, before it waits for the PUBACKs of the oldest.
const (
	mqttBurst  = 64
	mqttBursts = 4
)

// pourMQTT publishes messages of n readings from several clients and gives the
// readings acknowledged a second.
func pourMQTT(ctx context.Context, addr, key string, n int) (float64, error) {
	var (
		wg    sync.WaitGroup
		total atomic.Int64
		fail  atomic.Pointer[error]
	)
	began := time.Now()
	for w := range clients {
		wg.Go(func() {
			if err := publisher(ctx, addr, key, w, n, began, &total); err != nil {
				fail.Store(&err)
			}
		})
	}
	wg.Wait()
	if p := fail.Load(); p != nil {
		return 0, *p
	}
	return float64(total.Load()) / time.Since(began).Seconds(), nil
}

// publisher is one client. It writes MQTT 3.1.1 by itself: a library would cost
// more than the door.
func publisher(ctx context.Context, addr, key string, client, n int, began time.Time, total *atomic.Int64) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("dialling: %w", err)
	}
	defer conn.Close()
	if _, err := conn.Write(connectPacket(fmt.Sprint("bench-", client), key)); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	answers := bufio.NewReader(conn)
	ack := make([]byte, 4)
	if _, err := io.ReadFull(answers, ack); err != nil || ack[3] != 0 {
		return fmt.Errorf("the log-in was answered with %x: %w", ack, err)
	}
	burst, ids := burstOf(client, n)
	id, waiting := uint16(0), 0
	for round := 0; time.Since(began) < ingestTime || waiting > 0; round++ {
		if time.Since(began) < ingestTime {
			for _, at := range ids {
				if id++; id == 0 {
					id = 1
				}
				binary.BigEndian.PutUint16(burst[at:], id)
			}
			if _, err := conn.Write(burst); err != nil {
				return fmt.Errorf("publishing: %w", err)
			}
			if waiting++; waiting < mqttBursts {
				continue
			}
		}
		for range mqttBurst {
			if _, err := io.ReadFull(answers, ack); err != nil {
				return fmt.Errorf("waiting for a PUBACK: %w", err)
			}
			if ack[0] != 0x40 {
				return fmt.Errorf("%x is no PUBACK", ack)
			}
		}
		waiting--
		total.Add(int64(mqttBurst * n))
	}
	return nil
}

func connectPacket(id, key string) []byte {
	body := []byte{0, 4, 'M', 'Q', 'T', 'T', 4, 0xC2, 0, 60}
	for _, s := range []string{id, "key", key} {
		body = append(binary.BigEndian.AppendUint16(body, uint16(len(s))), s...)
	}
	return append(binary.AppendUvarint([]byte{0x10}, uint64(len(body))), body...)
}

// burstOf composes the messages of a burst, and says where their packet ids
// stand.
func burstOf(client, n int) (burst []byte, ids []int) {
	const topic = "ff/v1/demo/machine-temperature"
	now := time.Now().UnixMilli()
	for m := range mqttBurst {
		var readings []string
		for i := range n {
			readings = append(readings, fmt.Sprintf(`{"ts":%d,"value":%d.%d,"seq":%d}`, now+int64(m*n+i), 60+i%20, client, m*n+i))
		}
		text := strings.Join(readings, ",")
		if n > 1 {
			text = "[" + text + "]"
		}
		body := append(binary.BigEndian.AppendUint16(nil, uint16(len(topic))), topic...)
		at := len(body)
		body = append(append(body, 0, 0), text...)
		burst = binary.AppendUvarint(append(burst, 0x32), uint64(len(body)))
		ids = append(ids, len(burst)+at)
		burst = append(burst, body...)
	}
	return burst, ids
}
