package oee

import (
	"cmp"
	"slices"
	"sort"

	"github.com/foodflow/foodflow/internal/plant"
)

// news is what came since the last Advance, in order of arrival. To sort it and
// work it in once costs far less than to do so event by event, when a gateway
// that was cut off sends what it kept.
type news struct {
	states []change
	counts []count
	late   []count // that are not kept
	signs  []sign
	known  map[identity]struct{} // of the events
}

type identity struct {
	ts int64
	id plant.ID
}

func (n *news) has(e *plant.LineEvent) bool {
	_, found := n.known[identity{e.TS, e.ID}]
	return found
}

func (n *news) note(e *plant.LineEvent) {
	if n.known == nil {
		n.known = map[identity]struct{}{}
	}
	n.known[identity{e.TS, e.ID}] = struct{}{}
}

func (n *news) sign(ts int64) {
	if k := len(n.signs) - 1; k >= 0 && floor(n.signs[k].first) == floor(ts) {
		n.signs[k].first, n.signs[k].last = min(n.signs[k].first, ts), max(n.signs[k].last, ts)
		return
	}
	n.signs = append(n.signs, sign{ts, ts})
}

// maxRoom is how many of a kind memory is kept for.
const maxRoom = 1024

func (n *news) clear() {
	if max(len(n.states), len(n.counts), len(n.late), len(n.signs), len(n.known)) > maxRoom {
		*n = news{}
		return
	}
	clear(n.states) // their texts
	clear(n.counts)
	clear(n.late)
	clear(n.known)
	n.states, n.counts, n.late, n.signs = n.states[:0], n.counts[:0], n.late[:0], n.signs[:0]
}

// place is what a state's neighbours say of it.
type place struct {
	class   plant.TimeClass // internalStop is not told apart yet
	begin   int             // index of the first of the internal stops that follow one another up to it; its own else
	end     int64           // of those stops, the watermark while they last; 0 else
	product string          // the one made
	renamed int64           // when another product is named, or the watermark
}

// takeIn works the news in and marks the closed minutes that they change.
func (l *Line) takeIn(cfg *Config) {
	at := merge(&l.states, l.news.states, func(a, b *change) int { return compare(a.ts, &a.id, b.ts, &b.id) })
	l.look(cfg)
	for k, n := at, 0; n < len(l.news.states); k++ { // news are sorted now, as the states are
		if l.states[k].ts == l.news.states[n].ts && l.states[k].id == l.news.states[n].id {
			lo, hi := l.around(k)
			l.mark(lo, hi)
			n++
		}
	}
	merge(&l.counts, l.news.counts, func(a, b *count) int { return compare(a.ts, &a.id, b.ts, &b.id) })
	for i := range l.news.counts {
		l.mark(l.news.counts[i].ts, l.news.counts[i].ts+1)
	}
	l.takeSigns(cfg)
	// A stop that is still open may have outgrown the limit since its first minutes
	// were sent, when the watermark was little past the last of them.
	if n := len(l.states) - 1; n >= 0 && l.index[n].class == internalStop {
		if begin := l.states[l.index[n].begin].ts; l.closed+LatenessMS-begin <= cfg.MinorStopMS && l.watermark-begin > cfg.MinorStopMS {
			l.mark(begin, l.closed)
		}
	}
}

// merge sorts add and puts it among the elements of a sorted list; it gives the
// index of the first.
func merge[T any](list *[]T, add []T, compare func(a, b *T) int) int {
	if len(add) == 0 {
		return len(*list)
	}
	slices.SortFunc(add, func(a, b T) int { return compare(&a, &b) })
	i, k := len(*list), len(add)
	out := append(*list, add...)
	for to := len(out) - 1; k > 0 && i > 0; to-- {
		if compare(&out[i-1], &add[k-1]) > 0 {
			i--
			out[to] = out[i]
		} else {
			k--
			out[to] = add[k]
		}
	}
	copy(out, add[:k])
	*list = out
	if k > 0 {
		return 0
	}
	return i
}

// look fills the index.
func (l *Line) look(cfg *Config) {
	l.index = slices.Grow(l.index[:0], len(l.states))[:len(l.states)]
	for i := range l.states {
		s, p := &l.states[i], &l.index[i]
		*p = place{class: class(cfg, s.state, s.reason), begin: i, product: s.product}
		if i == 0 {
			continue
		}
		if p.class == internalStop && l.index[i-1].class == internalStop {
			p.begin = l.index[i-1].begin
		}
		if p.product == "" {
			p.product = l.index[i-1].product
		}
	}
	for i := len(l.states) - 1; i >= 0; i-- {
		p := &l.index[i]
		p.renamed = l.watermark
		next := l.watermark
		if i+1 < len(l.states) {
			s, q := &l.states[i+1], &l.index[i+1]
			if p.renamed = q.renamed; s.product != "" {
				p.renamed = s.ts
			}
			if next = s.ts; q.class == internalStop {
				next = q.end
			}
		}
		if p.class == internalStop {
			p.end = next
		}
	}
}

// around gives the span that a state at index i can have altered: from the start
// of the stop it may have cut or joined to the end of the one behind it.
func (l *Line) around(i int) (lo, hi int64) {
	lo, hi = l.states[i].ts, l.watermark
	if i > 0 {
		lo = l.states[l.index[i-1].begin].ts
	}
	if i+1 < len(l.states) {
		if hi = l.states[i+1].ts; l.index[i+1].class == internalStop {
			hi = l.index[i+1].end
		}
	}
	if l.states[i].product != "" { // which holds until another is named
		hi = max(hi, l.index[i].renamed)
	}
	return lo, hi + 1
}

// takeSigns works the new signs in. A late sign can end a silence around it, and
// one before all others makes minutes known.
func (l *Line) takeSigns(cfg *Config) {
	slices.SortFunc(l.news.signs, func(a, b sign) int { return cmp.Compare(a.first, b.first) })
	for _, n := range l.news.signs {
		m := floor(n.first)
		i := sort.Search(len(l.signs), func(i int) bool { return floor(l.signs[i].first) >= m })
		if i < len(l.signs) && floor(l.signs[i].first) == m {
			s := &l.signs[i]
			if n.first >= s.first && n.last <= s.last {
				continue
			}
			s.first, s.last = min(s.first, n.first), max(s.last, n.last)
		} else {
			l.signs = slices.Insert(l.signs, i, n)
		}
		if m < l.first {
			old := l.first
			l.first = m
			l.mark(m, old)
		}
		lo, hi := n.first, n.last+cfg.SilenceMS
		if i > 0 {
			lo = l.signs[i-1].last
		}
		if i+1 < len(l.signs) {
			hi = l.signs[i+1].first
		}
		l.mark(lo, hi+1)
	}
}

// mark enters the closed minutes that overlap [lo, hi).
func (l *Line) mark(lo, hi int64) {
	lo = max(floor(lo), l.first, l.from)
	if hi = min(hi, l.closed); lo < hi && l.dirty == nil {
		l.dirty = map[int64]struct{}{}
	}
	for m := lo; m < hi; m += minuteMS {
		l.dirty[m] = struct{}{}
	}
}
