package wal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/internal/durable"
	"github.com/pgincr/pgincr/pkg/pg"
)

// This file fills and empties a spool.

const spoolMode = 0o700

// window gives the Ahead segments that follow the one called name on its timeline.
func (s *Spool) window(name string) ([]string, error) {
	tli, n, err := s.Geometry.ParseWALFileName(name)
	if err != nil {
		return nil, err
	}
	names := make([]string, s.Ahead)
	for i := range names {
		names[i] = s.Geometry.WALFileName(tli, n+1+pg.SegNo(i))
	}
	return names, nil
}

// WantsFill says whether a Fill would be of use after name was handed out: nobody fills the spool, and
// fewer than half of what should be in it is there.
func (s *Spool) WantsFill(name string) (bool, error) {
	if s.Ahead == 0 || !pg.IsWALFileName(name) {
		return false, nil
	}
	names, err := s.window(name)
	if err != nil {
		return false, err
	}
	there := 0
	for _, name := range names {
		if _, err := os.Stat(s.path(name)); err == nil {
			there++
		}
	}
	if 2*there >= len(names) {
		return false, nil
	}
	_, held, err := durable.LockHolder(filepath.Join(s.Dir, spoolLock))
	return !held, err
}

// Announce makes the place for a Fill that follows, in another process perhaps. A Clear that comes between the two
// takes it away.
func (s *Spool) Announce() (err error) {
	if s.Temporary {
		if err := durable.Mkdir(s.Dir, spoolMode); err != nil {
			return err
		}
	}
	f, err := os.OpenFile(filepath.Join(s.Dir, spoolLock), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}

// Fill fetches the segments after name, removes everything else of the spool's, and tells how many came. It ends at the
// first segment that the archive has not, and does nothing while another process fills the spool, or when Clear
// came after Announce. A segment is there whole, or not at all.
func (s *Spool) Fill(ctx context.Context, name string) (fetched int, err error) {
	names, err := s.window(name)
	if err != nil {
		return 0, err
	}
	if s.cleared() {
		return 0, nil
	}
	l, _, err := durable.TryLock(filepath.Join(s.Dir, spoolLock), 0o600, strconv.Itoa(os.Getpid()))
	if err != nil || l == nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.Unlock()) }()
	if err := s.sweep(names); err != nil {
		return 0, err
	}
	var count atomic.Int32
	var ended atomic.Int32 // the archive has none from here on
	ended.Store(int32(len(names)))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(s.Jobs)
	for i, name := range names {
		g.Go(func() error {
			if _, err := os.Stat(s.path(name)); err == nil || i > int(ended.Load()) || gctx.Err() != nil || s.cleared() {
				return nil
			}
			err := Get(gctx, s.Archive, name, s.path(name))
			switch {
			case errors.Is(err, fs.ErrNotExist):
				ended.Store(int32(i))
				return nil
			case err == nil:
				count.Add(1)
			}
			return err
		})
	}
	err = g.Wait()
	if s.cleared() {
		err = errors.Join(err, s.empty())
	}
	return int(count.Load()), err
}

// sweep removes what the spool holds besides these segments: those that were replayed or that nobody will
// ask for, and what killed processes left. A claim that is in use goes, too; its process then asks the archive.
func (s *Spool) sweep(keep []string) error {
	kept := map[string]bool{}
	for _, name := range keep {
		kept[name+spooledSuffix] = true
	}
	entries, err := os.ReadDir(s.Dir)
	err = ignoreNotExist(err) // Clear took it
	for _, e := range entries {
		if isSpooled(e.Name()) && !kept[e.Name()] {
			err = errors.Join(err, ignoreNotExist(os.Remove(filepath.Join(s.Dir, e.Name()))))
		}
	}
	return err
}

// isSpooled says whether a name is one that a spool gives: a segment, a claim, or what is being fetched.
func isSpooled(name string) bool {
	if durable.IsTemp(name) {
		name = name[1:]
		return len(name) > 24 && pg.IsWALFileName(name[:24]) && strings.HasPrefix(name[24:], spooledSuffix+".")
	}
	if len(name) < 24 || !pg.IsWALFileName(name[:24]) {
		return false
	}
	return name[24:] == spooledSuffix || strings.HasSuffix(name, claimSuffix)
}

// Clear empties the spool: the server asked for what the archive has not, so that its recovery
// ends or waits. It takes the name of the lock away from a Fill that still runs, which then clears up after itself.
func (s *Spool) Clear() error {
	if _, err := os.Stat(s.Dir); err != nil {
		return ignoreNotExist(err)
	}
	err := ignoreNotExist(os.Remove(filepath.Join(s.Dir, spoolLock)))
	return errors.Join(err, s.empty())
}

// empty removes all that is the spool's.
func (s *Spool) empty() error {
	err := s.sweep(nil)
	if s.Temporary {
		_ = os.Remove(s.Dir) // not empty: somebody fills it again
	}
	return err
}

// cleared says whether Clear came while this process fills the spool.
func (s *Spool) cleared() bool {
	_, err := os.Stat(filepath.Join(s.Dir, spoolLock))
	return errors.Is(err, fs.ErrNotExist)
}
