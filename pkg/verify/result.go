package verify

import (
	"sync/atomic"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Result is what verify --json prints.
type Result struct {
	Cluster string    `json:"cluster"`
	OK      bool      `json:"ok"`
	Backups []*Backup `json:"backups"`
}

// Backup is the verdict on one backup.
type Backup struct {
	ID       string    `json:"id"`
	OK       bool      `json:"ok"`    // it can be restored, whole
	Chain    []string  `json:"chain"` // full first; empty when it is not whole
	Files    int64     `json:"files"`
	Frames   int64     `json:"frames"`     // of its own, not of its chain
	Bytes    int64     `json:"bytes_read"` // stored bytes of these frames
	Problems []Problem `json:"problems"`   // at most MaxProblems
	More     int64     `json:"more_problems"`
}

// MaxProblems bounds the list of problems of one backup.
const MaxProblems = 100

// Problem is one thing that is wrong with a backup.
type Problem struct {
	// Path is the file of the cluster that cannot be restored; "" when it is none.
	Path string `json:"path,omitempty"`
	// Block is the first bad block within the segment file, if the cause has one.
	Block *pg.BlockNumber `json:"block,omitempty"`
	// In is the backup that stores what is bad; "" for archived WAL.
	In    string `json:"in,omitempty"`
	Cause string `json:"cause"`
}

func (b *Backup) add(p Problem) {
	b.OK = false
	if len(b.Problems) < MaxProblems {
		b.Problems = append(b.Problems, p)
	} else {
		b.More++
	}
}

// Progress is updated while a verification runs and may be read at any time. The zero value is ready.
type Progress struct {
	phase       atomic.Pointer[string]
	done, total atomic.Int64 // stored bytes
}

// Snapshot gives the counters.
func (p *Progress) Snapshot() (phase string, done, total int64) {
	if s := p.phase.Load(); s != nil {
		phase = *s
	}
	return phase, p.done.Load(), max(p.total.Load(), p.done.Load())
}

func (p *Progress) enter(phase string) { p.phase.Store(&phase) }
