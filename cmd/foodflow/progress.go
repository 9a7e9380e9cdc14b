package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progressBar shows the share, rate and time left of long work: one line that
// is rewritten on a terminal, a plain line now and then elsewhere.
type progressBar struct {
	w        io.Writer
	what     string // "replayed"
	unit     string // "rows"
	terminal bool
	began    time.Time
	shown    time.Time
	last     string
}

func newProgress(w io.Writer, what, unit string) *progressBar {
	f, ok := w.(*os.File)
	now := time.Now()
	return &progressBar{w: w, what: what, unit: unit, terminal: ok && term.IsTerminal(int(f.Fd())), began: now, shown: now}
}

// show tells that done of all is done, which came to so many items.
func (p *progressBar) show(done, all, items int64) {
	now := time.Now()
	pause := 10 * time.Second
	if p.terminal {
		pause = 200 * time.Millisecond
	}
	p.last = p.line(done, all, items, now.Sub(p.began))
	if now.Sub(p.shown) < pause {
		return
	}
	p.shown = now
	p.write(p.last)
}

func (p *progressBar) line(done, all, items int64, took time.Duration) string {
	share := float64(done) / float64(max(all, 1))
	line := fmt.Sprintf("%s %3.0f %%, %d %s, %.0f %s/s", p.what, 100*share, items, p.unit, float64(items)/max(took.Seconds(), 0.001), p.unit)
	if share > 0 && share < 1 {
		left := time.Duration(float64(took) * (1 - share) / share)
		line += fmt.Sprintf(", %s left", left.Round(time.Second))
	}
	return line
}

// write is best effort: a terminal that is gone doesn't end the work.
func (p *progressBar) write(line string) {
	if p.terminal {
		fmt.Fprintf(p.w, "\r\x1b[K%s", line)
		return
	}
	fmt.Fprintln(p.w, line)
}

// end leaves the last line standing.
func (p *progressBar) end() {
	if p.last == "" {
		return
	}
	p.write(p.last)
	if p.terminal {
		fmt.Fprintln(p.w)
	}
	p.last = ""
}
