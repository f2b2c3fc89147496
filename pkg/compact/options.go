package compact

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
)

// Options say how to compact.
type Options struct {
	Jobs     int              // workers, at least 1
	DryRun   bool             // only plan
	Version  string           // of this program, for the manifest
	Log      *slog.Logger     // for what is only of passing interest
	Progress *Progress        // not nil
	Clock    func() time.Time // tells when it was compacted
}

// Result says what was done or, after a dry run, would be.
type Result struct {
	// Backup is the full backup; nil after a dry run that found none.
	Backup *repo.Manifest
	// Existing: it was there already. The counters are zero then.
	Existing bool
	Chain    []string // ids, the full backup first
	Plan     Plan
}

// Plan is what there is to do.
type Plan struct {
	FilesTotal    int64 // with content
	FramesCopied  int64 // as they are stored
	FramesRead    int64 // of which pages go into new frames
	BytesToRead   int64 // stored bytes of all frames
	BytesToCopy   int64 // those of them that are copied
	BytesToEncode int64 // uncompressed bytes of the others' current pages
}

// Progress is updated while compacting and may be read at any time.
type Progress struct {
	mu    sync.Mutex
	phase string // guarded by mu

	done, total atomic.Int64 // stored bytes
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
