package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// walMode is how the WAL of a backup is to be secured.
type walMode struct {
	archive  bool // wait for the archive to have it
	fallback bool // carry it if the archive does not get it in time
}

// chooseWALMode decides between waiting for the archive and carrying. Left to itself it relies on the
// archive only where that demonstrably receives this server's WAL: the newest file
// that the server's archiver delivered is there.
func (r *run) chooseWALMode(ctx context.Context) (walMode, error) {
	switch r.o.WAL {
	case walArchive:
		return walMode{archive: true}, nil
	case walStream:
		return walMode{}, nil
	}
	if !r.info.Archives() {
		return walMode{}, nil
	}
	name, _, err := r.s.LastArchived(ctx)
	if err != nil || name == "" {
		return walMode{}, err
	}
	has, err := r.c.WAL(r.o.Compression).Has(ctx, name)
	if err != nil {
		return walMode{}, err
	}
	return walMode{archive: has, fallback: has}, nil
}

// carrier gives what carries WAL into b while the backup runs; nil when the archive is to have it.
func (r *run) carrier(b *repo.BackupWriter) *carrier {
	if r.walMode.archive {
		return nil
	}
	return r.newCarrier(b)
}

func (r *run) newCarrier(b *repo.BackupWriter) *carrier {
	archive := r.c.WAL(r.o.Compression)
	return &carrier{
		dir: r.walDir, geometry: r.at.control.Geometry, timeline: r.m.Timeline, start: r.at.start,
		session: r.s, put: b.PutWAL, done: map[string]bool{},
		archived: func(ctx context.Context, name string) (io.ReadCloser, error) {
			return archive.Open(ctx, name)
		},
	}
}

// secureWAL makes sure that the WAL from start to stop can be had at a restore.
func (r *run) secureWAL(ctx context.Context, b *repo.BackupWriter, control pg.Control, c *carrier) error {
	r.enter("wal")
	history := r.at.history
	if r.at.standby && control.MinRecoveryTimeline > r.m.Timeline {
		var err error
		if history, _, err = readHistory(r.walDir, control.MinRecoveryTimeline); err != nil {
			return fmt.Errorf("history of timeline %d: %w", control.MinRecoveryTimeline, err)
		}
	}
	names, err := walNeed(r.at.control.Geometry, history, r.m.Timeline, r.m.StartLSN, r.m.StopLSN)
	if err != nil {
		return err
	}
	r.m.WAL = repo.WALNeed{Mode: repo.WALArchived, Segments: names}
	if r.walMode.archive {
		if err := r.archiveHistory(ctx, names); err != nil {
			return err
		}
		missing, err := r.awaitArchive(ctx, names)
		if err != nil || missing == "" {
			return err
		}
		why := fmt.Sprintf("WAL file %s: not in the archive after %s", missing, r.o.ArchiveTimeout)
		if !r.walMode.fallback {
			return errors.New(why)
		}
		r.warnings.add("%s; the backup carries its WAL", why)
		c = r.newCarrier(b)
	}
	r.m.WAL.Mode = repo.WALCarried
	flushed, err := r.s.FlushLSN(ctx)
	if err != nil {
		return err
	}
	return c.finish(ctx, names, max(flushed, r.m.StopLSN))
}

// archiveHistory puts history files into the archive that it lacks: a server archives each once, when
// its timeline begins, which may be before this archive did.
func (r *run) archiveHistory(ctx context.Context, names []string) error {
	archive := r.c.WAL(r.o.Compression)
	for _, name := range names {
		if _, ok := pg.ParseHistoryFileName(name); !ok {
			continue
		}
		has, err := archive.Has(ctx, name)
		if err != nil {
			return err
		}
		if has {
			continue
		}
		b, err := os.ReadFile(filepath.Join(r.walDir, name))
		if err != nil {
			return err
		}
		if err := archive.Put(ctx, name, bytes.NewReader(b)); err != nil {
			return err
		}
	}
	return nil
}

const archivePause = 100 * time.Millisecond

// awaitArchive waits until the archive has all names, and gives the first that it lacks after the
// time allowed.
func (r *run) awaitArchive(ctx context.Context, names []string) (missing string, err error) {
	archive := r.c.WAL(r.o.Compression)
	for waited := time.Duration(0); len(names) > 0; {
		has, err := archive.Has(ctx, names[0])
		if err != nil {
			return "", err
		}
		if has {
			names = names[1:]
			continue
		}
		if waited >= r.o.ArchiveTimeout {
			return names[0], nil
		}
		if err := pause(ctx, archivePause); err != nil {
			return "", err
		}
		waited += archivePause
	}
	return "", nil
}
