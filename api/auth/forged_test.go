package auth

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// rawForgeries are tokens that no library builds, from one that is right, each
// signed by our own key: the signature is not what they fail by.
func (w *world) rawForgeries(good string, key ed25519.PrivateKey) map[string]string {
	enc := base64.RawURLEncoding
	parts := strings.Split(good, ".")
	header, err := enc.DecodeString(parts[0])
	must(w.t, err)
	payload, err := enc.DecodeString(parts[1])
	must(w.t, err)
	sign := func(header, payload string) string {
		text := enc.EncodeToString([]byte(header)) + "." + enc.EncodeToString([]byte(payload))
		return text + "." + enc.EncodeToString(ed25519.Sign(key, []byte(text)))
	}
	if !w.accepts(sign(string(header), string(payload))) {
		w.t.Fatal("the builder's unchanged token is refused, so the cases prove nothing")
	}
	head := func(old, now string) string {
		changed := strings.Replace(string(header), old, now, 1)
		if changed == string(header) {
			w.t.Fatalf("%s has no %s", header, old)
		}
		return sign(changed, string(payload))
	}
	body := func(pattern, now string) string {
		changed := regexp.MustCompile(pattern).ReplaceAllString(string(payload), now)
		if changed == string(payload) {
			w.t.Fatalf("%s has no %s", payload, pattern)
		}
		return sign(string(header), changed)
	}
	flipped := []byte(parts[2])
	flipped[10] ^= 1
	return map[string]string{
		"alg none in capitals": head(`"EdDSA"`, `"NONE"`), "alg none mixed": head(`"EdDSA"`, `"nOnE"`), "alg empty": head(`"EdDSA"`, `""`), "alg null": head(`"EdDSA"`, `null`),
		"alg in lower case": head(`"EdDSA"`, `"eddsa"`), "alg HS256 by our key": head(`"EdDSA"`, `"HS256"`), "alg ES256 by our key": head(`"EdDSA"`, `"ES256"`), "alg a list": head(`"EdDSA"`, `["EdDSA"]`),
		"two algs": head(`"alg":"EdDSA"`, `"alg":"EdDSA","alg":"none"`), "crit": head(`{`, `{"crit":["x"],"x":1,`), "unencoded": head(`{`, `{"crit":["b64"],"b64":false,`),
		"kid of SQL": head(`"kid":"`, `"kid":"' OR 1=1 --`), "kid with NUL": head(`"kid":"`, `"kid":"\u0000`), "kid a list": head(`"kid":"`, `"kid":["x"],"k":"`), "kid of a URL": head(`"kid":"`, `"kid":"https://evil.example/`),
		"kid of a megabyte": head(`"kid":"`, `"kid":"`+strings.Repeat("k", 1<<20)), "header a list": sign("["+string(header)+"]", string(payload)), "nested header": sign(strings.Repeat("[", 100_000), string(payload)),
		"body a list": sign(string(header), "["+string(payload)+"]"), "nested body": sign(string(header), strings.Repeat(`{"a":`, 100_000)), "body null": sign(string(header), "null"),
		"expiry of text": body(`"exp":\d+`, `"exp":"tomorrow"`), "expiry beyond numbers": body(`"exp":\d+`, `"exp":1e400`), "expiry negative": body(`"exp":\d+`, `"exp":-1`), "not before tomorrow": body(`\{`, fmt.Sprintf(`{"nbf":%d,`, w.time().Add(24*time.Hour).Unix())),
		"subject no id": body(`"sub":"[^"]*"`, `"sub":"admin"`), "no role": body(`"role":"[^"]*"`, `"role":""`), "role nobody has": body(`"role":"[^"]*"`, `"role":"god"`), "no issuer": body(`"iss":"[^"]*"`, `"iss":""`),
		"audience of no one": body(`"aud":\[[^\]]*\]`, `"aud":[]`), "a flipped bit": parts[0] + "." + parts[1] + "." + string(flipped), "four parts": good + "." + parts[2], "space before": " " + good, "a line's end": good + "\n", "JSON form": `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
	}
}

// TestAccessIsNoRefresh: neither an access token nor an API key renews a log-in.
func TestAccessIsNoRefresh(t *testing.T) {
	w := newWorld(t)
	good := w.login()
	for _, token := range []string{good.AccessToken, "ff_public_secret", good.RefreshToken + "x", good.RefreshToken[:len(good.RefreshToken)-1], strings.ToUpper(good.RefreshToken), " " + good.RefreshToken} {
		if _, err := w.Refresh(t.Context(), token); !refused(err) {
			t.Errorf("%.20s…: %v", token, err)
		}
	}
	if _, err := w.Refresh(t.Context(), good.RefreshToken); err != nil {
		t.Error("the control: ", err)
	}
}
