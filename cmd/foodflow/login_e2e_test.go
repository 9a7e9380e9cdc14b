package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/foodflow/foodflow/internal/testkit"
)

// TestThousandLogins (S8) lets many log in at once through the real API, each
// from an address of its own: right and wrong passwords and unknown users. Every
// answer is one of those that are documented, and the process's memory, seen from
// outside, stays where the gate holds it. The control is the same program with a
// gate as wide as the flood.
func TestThousandLogins(t *testing.T) {
	n := 150
	if v, err := strconv.Atoi(os.Getenv("FOODFLOW_TEST_LOGINS")); err == nil {
		n = v
	}
	narrow, answers := loginFlood(t, n, 2)
	t.Logf("%d log-ins at once, two hashed at a time: peak memory %d MiB, answers %v", n, narrow>>20, answers)
	const bound = 350 << 20
	if narrow > bound {
		t.Errorf("peak memory %d MiB", narrow>>20)
	}
	if answers[http.StatusOK]+answers[http.StatusUnauthorized] == 0 {
		t.Error("nobody's password was looked at")
	}
	if wide, _ := loginFlood(t, n, min(n, 40)); wide <= bound || wide < 2*narrow {
		t.Errorf("the control: %d MiB with a wide gate", wide>>20)
	} else {
		t.Logf("the control, %d hashed at a time: peak memory %d MiB", min(n, 40), wide>>20)
	}
}

// loginFlood starts an installation whose gate lets so many through and gives the
// peak of its api process and the answers by status.
func loginFlood(t *testing.T, n, gate int) (peak int64, answers map[int]int) {
	t.Helper()
	in := install(t)
	in.env = []string{"FOODFLOW_HASHES=" + strconv.Itoa(gate)}
	in.start()
	defer in.stop()
	admin := in.login(in.Email, in.Password)
	for i := 0; i < n; i += 2 {
		admin.addUser(i)
	}
	var mu sync.Mutex // guards answers
	answers = map[int]int{}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			// Half are users, half of these with their password; each has an account
			// of its own, or the throttle would speak before the gate.
			password := userPassword
			if i%4 == 2 {
				password = "a wrong password"
			}
			a := in.tryLogin(i, userEmail(i), password)
			mu.Lock()
			defer mu.Unlock()
			answers[a.status]++
			if why := a.undocumented(); why != "" && t.Context().Err() == nil {
				t.Errorf("log-in %d: %s", i, why)
			}
		})
	}
	wg.Wait()
	// Whoever gets through the flood is a matter of chance; when it is over a
	// password counts.
	for password, want := range map[string]int{userPassword: http.StatusOK, "a wrong password": http.StatusUnauthorized} {
		in.until("a log-in is answered", func() bool {
			a := in.tryLogin(n+1, userEmail(0), password)
			if a.status != want && a.status != http.StatusTooManyRequests && a.status != http.StatusServiceUnavailable {
				t.Fatalf("after the flood: %d %s %v, want %d", a.status, a.body, a.err, want)
			}
			return a.status == want
		})
	}
	return testkit.PeakRSS(t, in.child(" api ")), answers
}

const userPassword = "a long password"

func userEmail(i int) string { return fmt.Sprintf("user%d@acme.example", i) }

// addUser makes the i-th user of the demo tenant.
func (c *caller) addUser(i int) {
	c.in.t.Helper()
	c.do(http.MethodPost, c.in.API+"/api/v1/users", map[string]any{"email": userEmail(i), "name": "U", "role": "viewer", "password": userPassword}, http.StatusCreated)
}

// loginAnswer is what came back.
type loginAnswer struct {
	status     int
	retryAfter string
	body       []byte
	took       time.Duration
	err        error
}

// undocumented says what is wrong with an answer, or "".
func (a loginAnswer) undocumented() string {
	if a.err != nil {
		return a.err.Error()
	}
	switch a.status {
	case http.StatusOK:
		return ""
	case http.StatusUnauthorized:
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if s, err := strconv.Atoi(a.retryAfter); err != nil || s < 1 {
			return fmt.Sprintf("%d with Retry-After %q", a.status, a.retryAfter)
		}
	default:
		return fmt.Sprintf("%d: %s", a.status, a.body)
	}
	var problem struct {
		Status int
		Title  string
	}
	if err := json.Unmarshal(a.body, &problem); err != nil || problem.Status != a.status || problem.Title == "" {
		return fmt.Sprintf("%d with %s", a.status, a.body)
	}
	return ""
}

// tryLogin logs in from the i-th address of this machine's loopback network.
func (in *installation) tryLogin(i int, email, password string) (a loginAnswer) {
	from := &net.TCPAddr{IP: net.IPv4(127, 1, byte(i>>8), byte(i))}
	c := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		return (&net.Dialer{LocalAddr: from}).DialContext(ctx, network, addr)
	}}}
	body, err := json.Marshal(map[string]string{"email": email, "password": password})
	if err != nil {
		return loginAnswer{err: err}
	}
	start := time.Now()
	resp, err := c.Post(in.API+"/api/v1/auth/login", "application/json", bytes.NewReader(body))
	if err != nil {
		return loginAnswer{err: err}
	}
	defer resp.Body.Close()
	a.status, a.retryAfter = resp.StatusCode, resp.Header.Get("Retry-After")
	a.body, a.err = io.ReadAll(resp.Body)
	a.took = time.Since(start)
	return a
}

// TestUnknownUsersTakeAsLong (S8) compares the times of wrong log-ins of known
// and unknown users through the real API: from one of each, taken in turn, nobody
// can tell which is which. The control is a user whose hash costs nothing, as if
// no password were looked at.
func TestUnknownUsersTakeAsLong(t *testing.T) {
	in := install(t)
	in.start()
	defer in.stop()
	const users, tries = 12, 8 // tries: fewer than an account may fail
	admin := in.login(in.Email, in.Password)
	for i := range users + 4 {
		admin.addUser(i)
	}
	db, err := pgx.Connect(t.Context(), in.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close(t.Context())
	var schema string
	if err := db.QueryRow(t.Context(), "SELECT schema_name FROM foodflow.tenants WHERE key = 'demo'").Scan(&schema); err != nil {
		t.Fatal(err)
	}
	const cheap = "$argon2id$v=19$m=8,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
	if tag, err := db.Exec(t.Context(), "UPDATE "+schema+".users SET password_hash = $1 WHERE email = ANY($2)", cheap,
		[]string{userEmail(users), userEmail(users + 1), userEmail(users + 2), userEmail(users + 3)}); err != nil || tag.RowsAffected() != 4 {
		t.Fatal(tag, err)
	}
	var known, unknown, free []float64
	take := func(i int, email string) float64 {
		a := in.tryLogin(i, email, "a wrong password")
		if a.status != http.StatusUnauthorized || a.err != nil || strings.Contains(string(a.body), "acme") {
			t.Fatalf("%s: %d %s %v", email, a.status, a.body, a.err)
		}
		return a.took.Seconds() * 1000
	}
	for i := range users * tries {
		// In an order of their own each time: in a fixed one the collector of
		// garbage, which runs every so many hashes, would meet one kind more often.
		kinds := []func(){
			func() { known = append(known, take(3*i, userEmail(i%users))) },
			func() { unknown = append(unknown, take(3*i+1, fmt.Sprintf("none%d@acme.example", i%users))) },
			func() {
				if i < 4*tries {
					free = append(free, take(3*i+2, userEmail(users+i%4)))
				}
			},
		}
		rand.Shuffle(len(kinds), func(i, j int) { kinds[i], kinds[j] = kinds[j], kinds[i] })
		for _, kind := range kinds {
			kind()
		}
	}
	told := rankShare(known, unknown)
	t.Logf("wrong log-ins, median of %d: known user %.2f ms, unknown %.2f ms, gap %.2f ms; the slower one is the known one in %.0f %% of pairs", len(known), median(known), median(unknown), median(known)-median(unknown), 100*told)
	// With no difference the share is a half, with a deviation of 1/sqrt(6n).
	limit := 6 / math.Sqrt(6*float64(len(known)))
	if math.Abs(told-0.5) > limit {
		t.Errorf("the times tell known from unknown users in %.0f %% of pairs, more than %.0f %% is no chance", 100*told, 100*(0.5+limit))
	}
	if told := rankShare(free, unknown); told > 0.5-limit {
		t.Errorf("the control: without hashing %.2f ms, with it %.2f ms, told apart in %.0f %%", median(free), median(unknown), 100*(1-told))
	}
}

// rankShare is the part of all pairs in which the one of a is the greater: Mann
// and Whitney's U over its maximum.
func rankShare(a, b []float64) float64 {
	greater := 0.0
	for _, x := range a {
		for _, y := range b {
			switch {
			case x > y:
				greater++
			case x == y:
				greater += 0.5
			}
		}
	}
	return greater / float64(len(a)*len(b))
}

func median(x []float64) float64 {
	s := slices.Sorted(slices.Values(x))
	return s[len(s)/2]
}
