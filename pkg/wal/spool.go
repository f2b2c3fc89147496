package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/internal/durable"
	"github.com/pgincr/pgincr/pkg/pg"
)

// SummingArchive is an Archive that can tell what a file holds without reading it.
type SummingArchive interface {
	Archive
	// Sum gives the size and the xxhash64 of a file, or fails with fs.ErrNotExist.
	Sum(ctx context.Context, name string) (size int64, sum uint64, err error)
}

// Spool is a directory of segments that were fetched before a recovering server asks for them.
//
// What is in it is never trusted: a file is handed out when its content has the checksum that the archive
// states for that name now. A spool of another cluster or line of history, a damaged file and what a killed
// process left are only of no use. Any number of processes may use one directory.
type Spool struct {
	Archive  SummingArchive
	Dir      string
	Geometry pg.Geometry // sizes of the cluster, by which segments are numbered
	Ahead    int         // segments that Fill fetches; 0: none
	Jobs     int         // at least 1

	// Temporary: Fill makes the directory and Clear removes it.
	Temporary bool
}

// Names in a spool end in one of these; whatever else lies there is somebody else's.
const (
	spooledSuffix = ".spooled"
	claimSuffix   = ".claim"
	spoolLock     = "spool.lock"
)

// path gives the place of a segment in the spool.
func (s *Spool) path(name string) string { return filepath.Join(s.Dir, name+spooledSuffix) }

// Get writes the archived file called name to dest as the function Get does, from the spool where it has it.
func (s *Spool) Get(ctx context.Context, name, dest string) (spooled bool, err error) {
	if !pg.IsWALFileName(name) || !s.has(name) {
		return false, Get(ctx, s.Archive, name, dest)
	}
	size, sum, err := s.Archive.Sum(ctx, name)
	if err != nil {
		return false, fmt.Errorf("%s: %w", name, err)
	}
	spooled, err = s.take(name, dest, size, sum)
	if err != nil {
		return false, fmt.Errorf("%s: spool: %w", name, hideNotExist(err))
	}
	if spooled {
		return true, nil
	}
	return false, Get(ctx, s.Archive, name, dest)
}

// has says whether a file may be in the spool: it is not asked what the archive holds for nothing.
func (s *Spool) has(name string) bool {
	_, err := os.Lstat(s.path(name))
	return !errors.Is(err, fs.ErrNotExist)
}

// take moves a spooled file to dest if it is there and what it should be. A file that is not goes.
//
// It is renamed first, so that no other process exchanges it between the look and the move.
func (s *Spool) take(name, dest string, size int64, sum uint64) (taken bool, err error) {
	claim := filepath.Join(s.Dir, fmt.Sprintf("%s.%016x%s", name, rand.Uint64(), claimSuffix)) //nolint:gosec // no secret
	if err := durable.Rename(s.path(name), claim); err != nil {
		return false, nil // there is none, or none that can be had
	}
	defer func() { err = errors.Join(err, ignoreNotExist(os.Remove(claim))) }()
	f, err := os.Open(claim)
	if err != nil {
		return false, nil // swept away meanwhile, or not to be read: the archive has it
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if right, err := holds(f, size, sum); err != nil || !right {
		return false, nil // the archive has the right one
	}
	if err := durable.Adopt(claim, dest); err == nil {
		return true, nil
	}
	// Another file system, perhaps. What is copied is verified once more.
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	err = durable.WriteFile(dest, 0o600, func(w io.Writer) error {
		right, err := holds(io.TeeReader(f, w), size, sum)
		if err == nil && !right {
			err = fmt.Errorf("%s: changed while it was read", claim)
		}
		return err
	})
	return err == nil, err
}

// holds says whether r has this content.
func holds(r io.Reader, size int64, sum uint64) (bool, error) {
	h := xxhash.New()
	n, err := io.CopyBuffer(h, io.LimitReader(r, size+1), make([]byte, 256<<10))
	return n == size && h.Sum64() == sum, err
}

func ignoreNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
