package restore

import (
	"sync"
	"sync/atomic"
)

// Progress is updated while a restore runs and may be read at any time.
type Progress struct {
	mu    sync.Mutex
	phase string // guarded by mu

	done, total atomic.Int64 // bytes
}

// Snapshot gives the counters: a phase name, bytes done and the total.
func (p *Progress) Snapshot() (phase string, done, total int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.phase, p.done.Load(), p.total.Load()
}

// enter begins a phase.
func (p *Progress) enter(phase string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.phase = phase
}
