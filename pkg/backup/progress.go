package backup

import "sync/atomic"

// Progress is updated while a backup runs and may be read at any time. The zero
// value is ready; a nil *Progress ignores updates.
type Progress struct {
	phase       atomic.Pointer[string]
	done, total atomic.Int64
}

// Snapshot gives a phase name, and of the files to be handled how many bytes are done and how many
// are known so far. A byte counts as done when its file is, copied or not.
func (p *Progress) Snapshot() (phase string, done, total int64) {
	if p == nil {
		return "", 0, 0
	}
	if s := p.phase.Load(); s != nil {
		phase = *s
	}
	return phase, p.done.Load(), max(p.total.Load(), p.done.Load())
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
		p.total.Store(0)
	}
}

func (p *Progress) addDone(n int64) {
	if p != nil {
		p.done.Add(n)
	}
}

func (p *Progress) addTotal(n int64) {
	if p != nil {
		p.total.Add(n)
	}
}
