package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Problem is one thing that a Verifier found wrong.
type Problem struct {
	Backup string // id
	Object string // name in the backup; "" when none is at fault
	Path   string // the file that suffers; "" when it is not known
	Err    error  // says where and what
}

// String is one line with the object first.
func (p Problem) String() string {
	s := "backup " + p.Backup + ": "
	if p.Path != "" {
		s += p.Path + ": "
	}
	return s + p.Err.Error()
}

// VerifyStats counts what a Verifier looked at.
type VerifyStats struct {
	Backups int64 `json:"backups"`
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
	Frames  int64 `json:"frames"`
	Pages   int64 `json:"pages"`
	Files   int64 `json:"files"` // of chains, each time one was resolved
}

// Verifier proves that backups can be restored, without restoring them: it reads every byte
// of every object of their chains, once however many chains share a backup, checks every
// checksum, recomputes the page hashes, and resolves every block of every file.
//
// Not safe for concurrent use; it has its own workers. Memory: 3 MiB for each job, and 8
// bytes for each frame of the backups verified so far.
type Verifier struct {
	c      *Cluster
	jobs   int
	quick  bool
	report func(Problem)

	mu    sync.Mutex // guards report and what is below
	stats VerifyStats
	seen  map[string]*scan // by backup id
}

// NewVerifier makes a verifier with that many workers. report is called once for each
// problem, never by two goroutines at a time.
func (c *Cluster) NewVerifier(jobs int, report func(Problem)) *Verifier {
	return &Verifier{c: c, jobs: max(1, jobs), report: report, seen: map[string]*scan{}}
}

// NewQuickVerifier makes one that reads no packs: it proves that chains and their objects are there with the right
// sizes, that manifests and indexes are what was written, and that every block of every file has a place in a pack.
// What the packs hold it does not look at.
func (c *Cluster) NewQuickVerifier(jobs int, report func(Problem)) *Verifier {
	v := c.NewVerifier(jobs, report)
	v.quick = true
	return v
}

// Stats tells what was looked at so far.
func (v *Verifier) Stats() VerifyStats {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.stats
}

// count changes the statistics.
func (v *Verifier) count(f func(*VerifyStats)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f(&v.stats)
}

// problem reports one.
func (v *Verifier) problem(p Problem) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.report(p)
}

// fault reports err if it means that stored data is not right, and gives it back if it
// means that nothing can be known.
func (v *Verifier) fault(err error, p Problem) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrCorrupt) || errors.Is(err, ErrNewer) {
		p.Err = err
		v.problem(p)
		return nil
	}
	return err
}

// Backup verifies m and everything that it needs, and says whether it can be restored.
// Backups that were verified before are not read again. The error is for what kept it from
// finding out.
func (v *Verifier) Backup(ctx context.Context, m *Manifest) (ok bool, err error) {
	if m.Status != StatusOK {
		v.problem(Problem{Backup: m.ID, Err: fmt.Errorf("%w: %s", ErrCorrupt, cause(m))})
		return false, nil
	}
	chain, err := v.c.Chain(ctx, m)
	broken := err != nil
	if err := v.fault(err, Problem{Backup: m.ID}); err != nil {
		return false, err
	}
	if broken { // what is there can be verified all the same
		return false, v.scanBackup(ctx, m)
	}
	return v.Chain(ctx, chain)
}

// Chain is Backup for the newest of a chain, full backup first, that the caller has read already.
func (v *Verifier) Chain(ctx context.Context, chain []*Manifest) (ok bool, err error) {
	for _, b := range chain {
		if err := v.scanBackup(ctx, b); err != nil {
			return false, err
		}
	}
	return v.resolve(ctx, chain)
}

// cause says why a manifest is broken.
func cause(m *Manifest) string {
	if len(m.Warnings) == 0 {
		return "its manifest cannot be read"
	}
	return m.Warnings[0]
}

// scanBackup verifies a backup's own objects, unless that was done.
func (v *Verifier) scanBackup(ctx context.Context, m *Manifest) error {
	if v.seen[m.ID] != nil {
		return nil
	}
	s := newScan(v, m)
	read := s.run
	if v.quick {
		read = s.quick
	}
	if err := read(ctx); err != nil {
		return err
	}
	v.seen[m.ID] = s
	v.count(func(n *VerifyStats) { n.Backups++ })
	return nil
}

// resolve walks the files of a chain, full first, and decides for each whether every
// frame that it needs was found good.
func (v *Verifier) resolve(ctx context.Context, chain []*Manifest) (ok bool, err error) {
	newest := chain[len(chain)-1]
	if v.seen[newest.ID].bad(indexObject) {
		return false, nil // that was reported
	}
	ok = !v.seen[newest.ID].bad("")
	ch := new(Chain)
	for _, m := range slices.Backward(chain) {
		s := v.seen[m.ID]
		ch.Backups = append(ch.Backups, s.reader)
		if m != newest && s.absent != "" { // which keeps the chain from being opened
			ok = false
			err := fmt.Errorf("%w: needs backup %s, whose object %s is missing or of another size", ErrCorrupt, m.ID, s.absent)
			if err := v.fault(err, Problem{Backup: newest.ID}); err != nil {
				return false, err
			}
		}
	}
	files := int64(0)
	for cf, err := range ch.Files(ctx) {
		if err == nil {
			files++
			err = v.resolveFile(ch, cf, newest)
		}
		if err == nil {
			continue
		}
		ok = false
		p := Problem{Backup: newest.ID}
		if cf != nil {
			p.Path = cf.Path
		}
		if err := v.fault(err, p); err != nil {
			return false, err
		}
	}
	v.count(func(n *VerifyStats) { n.Files += files })
	return ok, nil
}

// resolveFile fails with ErrCorrupt if a block of the file has no good frame.
func (v *Verifier) resolveFile(ch *Chain, cf *ChainFile, newest *Manifest) error {
	pieces, _, err := cf.Resolve(newest.Geometry)
	if err != nil {
		return err
	}
	for i := range pieces {
		p := &pieces[i]
		from := ch.Backups[p.Depth].Manifest.ID
		if from == newest.ID || v.seen[from].good(&p.Frame) {
			continue // its own frames were reported when it was scanned
		}
		return fmt.Errorf("%w: needs the damaged frame of backup %s, %s, offset %d%s",
			ErrCorrupt, from, packObject(p.Frame.Pack), p.Frame.Offset, blocksText(p.Runs))
	}
	return nil
}

// blocksText names blocks in a message, the first and the last of many.
func blocksText(runs []BlockRun) string {
	if len(runs) == 0 {
		return ""
	}
	first, last := runs[0].First, runs[len(runs)-1].end()-1
	if uint64(first) == last {
		return fmt.Sprintf(", for block %d", first)
	}
	return fmt.Sprintf(", for blocks from %d to %d", first, last)
}
