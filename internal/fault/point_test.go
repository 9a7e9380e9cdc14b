package fault_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/foodflow/foodflow/internal/fault"
)

// passesVariable makes the test binary pass a point so often and say each time.
const passesVariable = "FOODFLOW_FAULT_TEST_PASSES"

func TestMain(m *testing.M) {
	if os.Getenv(passesVariable) == "" {
		os.Exit(m.Run())
	}
	if err := fault.ArmFromEnvironment(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	for i := range 5 {
		if err := fault.Point("place"); err != nil {
			fmt.Println(err)
		}
		fmt.Println("passed", i+1)
	}
}

func arm(t *testing.T, spec string) {
	t.Helper()
	if err := fault.Arm(spec); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = fault.Arm("") })
}

// failures passes a point five times and gives the numbers at which it failed.
func failures(name string) string {
	var at []string
	for i := range 5 {
		if fault.Point(name) != nil {
			at = append(at, fmt.Sprint(i+1))
		}
	}
	return strings.Join(at, " ")
}

func TestPoints(t *testing.T) {
	for _, c := range []struct{ spec, want string }{
		{"", ""},
		{"place:error", "1 2 3 4 5"},
		{"place:error@3", "3"},
		{"place:error@6", ""},
		{"other:error", ""},
		{"other:error,place:error@2", "2"},
	} {
		arm(t, c.spec)
		if got := failures("place"); got != c.want {
			t.Errorf("%q fails at %q, want %q", c.spec, got, c.want)
		}
	}
}

func TestPointSleeps(t *testing.T) {
	arm(t, "place:sleep=30ms@2")
	took := func() time.Duration {
		began := time.Now()
		if err := fault.Point("place"); err != nil {
			t.Error(err)
		}
		return time.Since(began)
	}
	took()
	if d := took(); d < 30*time.Millisecond {
		t.Errorf("the second passing took %v", d)
	}
}

func TestPointKills(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), passesVariable+"=1", fault.Variable+"=place:kill@3")
	out, err := cmd.Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		t.Fatalf("it ended with %v", err)
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || status.Signal() != syscall.SIGKILL {
		t.Fatalf("it ended with %v", err)
	}
	if got := string(out); got != "passed 1\npassed 2\n" {
		t.Fatalf("it said %q", got)
	}
}

func TestArmRefuses(t *testing.T) {
	arm(t, "place:error")
	for _, bad := range []string{"place", "place:", "place:burn", "place:error@", "place:error@0", "place:error@x", "place:sleep=soon", "place:error,"} {
		if err := fault.Arm(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
	if failures("place") == "" {
		t.Error("a specification that was refused disarmed the points")
	}
}

func TestUnarmedPointAllocatesNothing(t *testing.T) {
	if n := testing.AllocsPerRun(1000, func() { _ = fault.Point("place") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPointUnarmed(b *testing.B) {
	for b.Loop() {
		if err := fault.Point("place"); err != nil {
			b.Fatal(err)
		}
	}
}
