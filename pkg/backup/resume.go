package backup

import (
	"context"
	"errors"
	"io/fs"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

// resume goes on with an interrupted backup of the same type, if there is one. What it was built on does not
// matter: every block that this one wants is read from today's file, and only frames with the same pages are
// taken over.
func (r *run) resume(ctx context.Context) (*repo.BackupWriter, error) {
	b, err := r.c.ResumeBackup(ctx, r.m.Type, r.o.Compression, func(err error) {
		r.o.Log.Info("not taken over from the interrupted backup", "cause", err)
	})
	if b == nil || err != nil {
		return nil, err
	}
	r.m.ID = b.ID()
	r.o.Log.Info("going on with an interrupted backup", "id", r.m.ID)
	return b, nil
}

// earlierOf gives what there is to be taken over, nil where there is nothing.
func earlierOf(b *repo.BackupWriter) earlier {
	if e := b.Earlier(); e != nil {
		return e
	}
	return nil
}

// isInterruption says whether a backup failed because it was ended from outside, so that the next may go on with
// it, and not because of what it found.
func isInterruption(ctx context.Context, err error) bool {
	var archive *ArchiveError
	return ctx.Err() != nil || errors.Is(err, repo.ErrUnreachable) || errors.Is(err, server.ErrSessionLost) ||
		errors.As(err, &archive)
}

// giveUp removes what was written, even if ctx has ended, or leaves of it what the next backup can take over.
func (r *run) giveUp(ctx context.Context, b *repo.BackupWriter, leave bool) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	if !leave {
		return b.Abort(ctx)
	}
	left, err := b.Leave(ctx)
	if left.Packs > 0 {
		r.o.Log.Warn("the next backup of this type goes on with what was stored", "id", b.ID(),
			"packs", left.Packs, "bytes", left.Bytes)
	}
	return err
}

// tidy removes what only an interrupted backup needs. The backup is complete without.
func (r *run) tidy(ctx context.Context, b *repo.BackupWriter) {
	err := b.Tidy(ctx)
	switch {
	case errors.Is(err, fs.ErrPermission): // a host that is not allowed to delete: that is as it should be
		r.o.Log.Debug("objects stay in the repository that the backup does not need", "id", b.ID(), "cause", err)
	case err != nil:
		r.o.Log.Info("objects stay in the repository that the backup does not need", "id", b.ID(), "cause", err)
	}
}
