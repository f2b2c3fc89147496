package mount

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"

	"github.com/pgincr/pgincr/pkg/repo"
)

// Options of a mount.
type Options struct {
	Dir   string // an empty directory
	Cache int64  // bytes of decoded frames that are kept
	// AllowOther lets other users read, the server's for instance. Who is not root needs
	// user_allow_other in /etc/fuse.conf.
	AllowOther bool
	Log        *slog.Logger
	// Ready is called when the directory can be used.
	Ready func()
}

// DirError: the directory cannot be mounted on.
type DirError struct {
	Dir    string
	Reason string
}

func (e *DirError) Error() string { return fmt.Sprintf("directory %s: %s", e.Dir, e.Reason) }

// UnavailableError: there is no FUSE here.
type UnavailableError struct {
	Dir string
	Err error
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("directory %s: mount: %v", e.Dir, e.Err)
}

func (e *UnavailableError) Unwrap() error { return e.Err }

// Run shows the backup m at Options.Dir until somebody unmounts it or ctx ends, which both are no errors. Meanwhile
// nothing that the backup is built on is removed.
//
// Errors: *DirError, *UnavailableError and *repo.WALError before anything is shown, repo.ErrCorrupt where the chain
// is not whole.
func Run(ctx context.Context, c *repo.Cluster, m *repo.Manifest, o Options) (err error) {
	if err := verifyDir(o.Dir); err != nil {
		return err
	}
	chain, err := c.OpenChain(ctx, m)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chain.Close()) }()
	if why := chain.Unprotected(); why != nil {
		o.Log.Warn("nothing keeps expire from removing what is shown", "cause", why.Error())
	}
	root, err := build(ctx, c, chain, o.Cache)
	if err != nil {
		return err
	}
	return serve(ctx, root, m.ID, o)
}

// verifyDir wants an empty directory.
func verifyDir(dir string) error {
	there, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return &DirError{dir, "it does not exist"}
	case err != nil:
		return err
	case len(there) > 0:
		return &DirError{dir, "it is not empty"}
	}
	return nil
}

// build makes the tree.
func build(ctx context.Context, c *repo.Cluster, chain *repo.Chain, cache int64) (*entry, error) {
	var owner *[2]uint32
	if os.Geteuid() != 0 {
		owner = &[2]uint32{uint32(os.Geteuid()), uint32(os.Getegid())}
	}
	newest := chain.Backups[0]
	m := newest.Manifest
	t := newTree(owner, m.FinishedAt)
	if err := t.index(ctx, chain, newFrames(chain, cache)); err != nil {
		return nil, err
	}
	control, err := newest.Control(ctx)
	if err != nil {
		return nil, err
	}
	wal, err := neededWAL(ctx, c, newest)
	if err != nil {
		return nil, err
	}
	return t.root, t.complete(ctx, m, control, wal)
}

// neededWAL gives the WAL without which the backup does not become consistent. *repo.WALError: some is missing.
func neededWAL(ctx context.Context, c *repo.Cluster, b *repo.BackupReader) (map[string]content, error) {
	m := b.Manifest
	names, err := m.NeededWAL()
	if err != nil {
		return nil, err
	}
	archive := c.WAL(repo.Compression{})
	if err := archive.VerifyNeeded(ctx, m, names); err != nil {
		return nil, err
	}
	open := archive.Open
	if m.WAL.Mode == repo.WALCarried {
		open = b.OpenWAL
	}
	wal := map[string]content{}
	for _, name := range names {
		wal[name] = &segment{
			size: int64(m.Geometry.WALSegmentSize),
			open: func(ctx context.Context) (io.ReadCloser, error) { return open(ctx, name) },
		}
	}
	return wal, nil
}
