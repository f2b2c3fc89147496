package restore

import (
	"bufio"
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
)

// ledgerWindow bounds the finished files that wait for the line of an earlier one.
const ledgerWindow = 16384

// line is what backup_manifest says of one file.
type line struct {
	path  string
	size  int64
	mtime time.Time
	crc   uint32
}

// ledger writes backup_manifest while files are finished in any order: lines
// come out in the order in which they were reserved.
type ledger struct {
	slots chan struct{}
	next  int64 // number of the next reservation; the reserving goroutine's

	mu   sync.Mutex
	done map[int64]line // guarded by mu: finished, but an earlier one is not
	at   int64          // guarded by mu: number of the next line to write
	file *os.File       // guarded by mu, like what writes to it
	buf  *bufio.Writer
	w    *pg.ManifestWriter
}

// newLedger begins a backup_manifest in file, which it owns.
func newLedger(file *os.File, major int, systemID uint64) *ledger {
	l := &ledger{slots: make(chan struct{}, ledgerWindow), done: map[int64]line{}, file: file}
	l.buf = bufio.NewWriterSize(file, 256<<10)
	l.w = pg.NewManifestWriter(l.buf, major, systemID)
	return l
}

// reserve gives the number of the next line. One goroutine calls it; it waits
// while too many lines are open.
func (l *ledger) reserve(ctx context.Context) (int64, error) {
	select {
	case l.slots <- struct{}{}:
		l.next++
		return l.next - 1, nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// add fills a reserved line.
func (l *ledger) add(number int64, ln line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done[number] = ln
	for {
		ln, ok := l.done[l.at]
		if !ok {
			return nil
		}
		delete(l.done, l.at)
		l.at++
		<-l.slots
		if err := l.w.AddFile(ln.path, ln.size, ln.mtime, ln.crc); err != nil {
			return err
		}
	}
}

// append writes a line that was not reserved, after all others.
func (l *ledger) append(ln line) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.AddFile(ln.path, ln.size, ln.mtime, ln.crc)
}

// close ends the manifest and its file.
func (l *ledger) close(ranges []pg.WALRange) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.w.Close(ranges), l.buf.Flush(), l.file.Close())
}

// abandon closes the file after a failure.
func (l *ledger) abandon() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file.Close()
}
