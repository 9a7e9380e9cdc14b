package schemas

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	hamba "github.com/hamba/avro/v2"
)

// framesVariable makes the test program a reader of hostile frames, so that its
// death is not the test's: "ours", or "unbounded" for the control.
const framesVariable = "FOODFLOW_TEST_FRAMES"

func TestMain(m *testing.M) {
	switch os.Getenv(framesVariable) {
	case "ours":
		if err := readBombs(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
		os.Exit(0)
	case "unbounded":
		readUnbounded()
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// bombs are lengths and counts that no body can hold, by the bytes they take.
func bombs() [][]byte {
	return [][]byte{
		appendLong(nil, 1<<50), appendLong(nil, -1<<50), appendLong(nil, 1<<62), appendLong(nil, 1<<31), appendLong(nil, 1<<28),
		bytes.Repeat([]byte{0xff}, 12), append(bytes.Repeat([]byte{0xff}, 9), 0x01),
	}
}

// readBombs puts each bomb at each place of a frame of each topic.
func readBombs() error {
	c, err := NewStaticCodec()
	if err != nil {
		return err
	}
	n := 0
	for _, k := range allKinds() {
		frame, err := k.append(c, nil, k.sample())
		if err != nil {
			return err
		}
		for at := frameSize; at <= len(frame); at++ {
			for _, bomb := range bombs() {
				// What a bomb makes of the rest may be a record; most are none.
				for _, b := range [][]byte{append(frame[:at:at], bomb...), append(append(frame[:at:at], bomb...), frame[at:]...)} {
					n++
					if _, err := k.decode(c, b); err != nil && !errors.Is(err, ErrBody) {
						return fmt.Errorf("%s, a bomb at byte %d: %w", k.name, at, err)
					}
				}
			}
		}
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(status)) {
		var kb int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kb); err == nil {
			fmt.Println(n, kb>>10)
		}
	}
	return nil
}

// readUnbounded gives a text's length that is more than any machine has memory to
// a reader that believes it. It is past what the runtime can address, so that no
// kernel promises the memory and then looks for it.
func readUnbounded() {
	text, _, err := latest(DeadLetterName)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	body := appendLong(make([]byte, 16), 1<<50) // an id, then the topic's length
	var d map[string]any
	open := hamba.Config{MaxByteSliceSize: -1, MaxSliceAllocSize: -1}.Freeze()
	fmt.Fprintln(os.Stderr, open.Unmarshal(hamba.MustParse(text), body, &d))
}

// TestFrameBombs (S12): a bomb at every place of a frame of every topic ends in
// a record or an error, in little memory. The control is a reader without bounds:
// one frame ends its process.
func TestFrameBombs(t *testing.T) {
	read := func(who string) (string, error) {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), framesVariable+"="+who)
		var out, log bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &log
		if err := cmd.Run(); err != nil {
			return "", fmt.Errorf("%w: %.600s", err, log.String())
		}
		return out.String() + log.String(), nil
	}
	out, err := read("ours")
	if err != nil {
		t.Fatal(err)
	}
	var frames, rss int
	if _, err := fmt.Sscan(out, &frames, &rss); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("%d hostile frames: crashes 0, peak RSS %d MiB", frames, rss)
	if frames < 1000 || rss > 512 {
		t.Errorf("%d frames took %d MiB", frames, rss)
	}
	if out, err = read("unbounded"); err == nil {
		t.Errorf("a reader without bounds lives, so the test shows nothing: %s", out)
	} else {
		t.Logf("control: %.120v", err)
	}
}
