package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

type archivePushCommand struct {
	Path     string `arg:"" placeholder:"%p" help:"WAL file to store: what PostgreSQL puts for %p."`
	Compress string `short:"Z" placeholder:"METHOD" default:"zstd" help:"Compression: zstd, zstd:1 to zstd:19, lz4 or none (default: ${default})."`
	Backlog  int    `placeholder:"N" default:"64" help:"Files waiting behind this one to store, too, with all workers; 0: none (default: ${default})."`
}

// backlogPatience is how long, after the file that was asked for, pushes of others are begun.
const backlogPatience = 10 * time.Second

// Help is shown below the summary.
func (*archivePushCommand) Help() string {
	return "archive_command = 'pgincr archive-push --repo /backup %p'. " +
		"The file is durable in the repository when the exit code is 0. The same file again is no error; " +
		"another content under the same name is refused. A page map that cannot be made fails nothing. " +
		"When the file is safe, those that wait behind it (pg_wal/archive_status) are stored for 10 seconds at most, so " +
		"that the calls for them find them there; what becomes of them does not change the exit code."
}

// Validate implements kong's check across flags.
func (c *archivePushCommand) Validate() error {
	if c.Backlog < 0 {
		return errors.New("--backlog: must not be negative")
	}
	return nil
}

// Run implements the command.
func (c *archivePushCommand) Run(ctx context.Context, p *program) error {
	z, err := repo.ParseCompression(c.Compress)
	if err != nil {
		return &usageError{err: err, command: "pgincr archive-push"}
	}
	cluster, err := p.openCluster(ctx)
	if err != nil {
		return err
	}
	if err := verifyOwner(cluster, c.Path); err != nil {
		return err
	}
	archive, began := cluster.WAL(z), p.clock()
	r, err := wal.Push(ctx, archive, c.Path)
	if errors.Is(err, fs.ErrExist) {
		return &archivedError{err}
	}
	if err != nil {
		return err
	}
	if pg.IsWALFileName(r.Name) && !r.Mapped {
		p.log.Warn("archived without a page map", "file", r.Name, "reason", r.MapReason)
	} else {
		p.log.Debug("archived", "file", r.Name, "mapped", r.Mapped)
	}
	// A store that is this slow is not helped by more to do.
	if c.Backlog > 0 && p.clock().Sub(began) < backlogPatience {
		c.pushBacklog(ctx, p, cluster, archive)
	}
	return nil
}

// pushBacklog stores what waits behind the file that was asked for. That one is safe: nothing here is an error of
// the command.
func (c *archivePushCommand) pushBacklog(
	ctx context.Context, p *program, cluster *repo.Cluster, archive *repo.WALArchive,
) {
	b := wal.Backlog{
		Archive: archive, Jobs: p.common.jobs(), Max: c.Backlog, Patience: backlogPatience,
		Verify: func(path string) error { return verifyOwner(cluster, path) },
		Far:    len(p.common.Repos) > 1,
	}
	switch r := b.Push(ctx, c.Path); {
	case r.Err != nil && ctx.Err() == nil:
		p.log.Warn("the backlog is not archived whole yet", "waiting", r.Waiting, "archived", r.Pushed,
			"failed", r.Failed, "reason", r.Err)
	case r.Pushed > 0:
		p.log.Info("archived files that waited", "waiting", r.Waiting, "archived", r.Pushed, "unmapped", r.Unmapped)
	}
}

// archivedError: the archive has another file of that name.
type archivedError struct{ err error }

func (e *archivedError) Error() string { return e.err.Error() }

func (e *archivedError) Unwrap() error { return e.err }

// verifyOwner refuses segments of another cluster. What is no segment, or cannot be read as one, is
// archived as PostgreSQL wants it.
func verifyOwner(cluster *repo.Cluster, path string) error {
	name := filepath.Base(path)
	if !pg.IsWALFileName(name) && !pg.IsPartialWALFileName(name) {
		return nil
	}
	id, err := wal.SystemIdentifier(path)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return err
	}
	if err != nil || id == cluster.Info.SystemIdentifier {
		return nil
	}
	return fmt.Errorf("%s: %w", name, &repo.SystemIdentifierError{
		Cluster: cluster.Info.Name, Have: cluster.Info.SystemIdentifier, Want: id,
	})
}
