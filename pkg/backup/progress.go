package backup

import (
	"sync"
	"sync/atomic"
)

// Progress is updated while a backup runs and may be read at any time. The zero
// value is ready; a nil *Progress ignores updates.
type Progress struct {
	phase    atomic.Pointer[string]
	done     atomic.Int64 // bytes of files that are handled
	seen     atomic.Int64 // of those that the walk has come to
	measured atomic.Int64 // of those that a walk only for this purpose has come to

	mu    sync.Mutex // guards asked
	asked chan struct{}
}

// Snapshot gives a phase name, and of the files to be handled how many bytes are done and how many
// are known so far. A byte counts as done when its file is, copied or not. The
// first call makes a running backup find out the total.
func (p *Progress) Snapshot() (phase string, done, total int64) {
	if p == nil {
		return "", 0, 0
	}
	if c := p.wanted(); !closed(c) {
		p.mu.Lock()
		if !closed(c) {
			close(c)
		}
		p.mu.Unlock()
	}
	if s := p.phase.Load(); s != nil {
		phase = *s
	}
	done = p.done.Load()
	return phase, done, max(p.seen.Load(), p.measured.Load(), done)
}

// wanted gives a channel that is closed when somebody looks.
func (p *Progress) wanted() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.asked == nil {
		p.asked = make(chan struct{})
	}
	return p.asked
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (p *Progress) enter(phase string) {
	if p != nil {
		p.phase.Store(&phase)
	}
}

// restart forgets the counters: the copy begins anew.
func (p *Progress) restart() {
	if p != nil {
		p.done.Store(0)
		p.seen.Store(0)
		p.measured.Store(0)
	}
}

func (p *Progress) addDone(n int64) {
	if p != nil {
		p.done.Add(n)
	}
}

func (p *Progress) addSeen(n int64) {
	if p != nil {
		p.seen.Add(n)
	}
}

func (p *Progress) addMeasured(n int64) {
	if p != nil {
		p.measured.Add(n)
	}
}
