package leak

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestFind: a goroutine that stays is found, one that ends late is waited for.
func TestFind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	wait := make(chan struct{})
	go func() { <-wait }()
	if find(time.Second, before) == nil {
		t.Error("a goroutine that stays is not found")
	}
	time.AfterFunc(time.Second, func() { close(wait) }) // later than goleak alone would look
	None(t, before)
}
