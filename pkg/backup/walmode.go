package backup

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/pgincr/pgincr/internal/pace"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
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

// ArchiveError: the archive does not have the WAL that the backup needs.
type ArchiveError struct{ Reason string }

func (e *ArchiveError) Error() string { return e.Reason }

// secureWAL makes sure that the WAL from start to stop can be had at a restore, and with it the
// history file of the timeline on which it ends.
func (r *run) secureWAL(ctx context.Context, b *repo.BackupWriter, control pg.Control, c *carrier) (err error) {
	r.enter("wal")
	h := r.history
	if tli := control.MinRecoveryTimeline; r.at.standby && tli > r.m.Timeline {
		if h, err = readHistory(ctx, r.walDir, r.c.WAL(r.o.Compression), tli); err != nil {
			return err
		}
	}
	segments, err := neededSegments(
		r.at.control.Geometry, h.History, r.m.Timeline, r.m.StartLSN, r.m.StopLSN)
	if err != nil {
		return err
	}
	r.m.WAL = repo.WALNeed{Mode: repo.WALArchived, Segments: segments}
	if h.file != nil {
		r.m.WAL.Segments = append([]string{pg.HistoryFileName(h.Timeline)}, segments...)
	}
	var why string
	if r.m.WALMark, why = r.newMark(ctx, h.History); r.m.WALMark == nil {
		r.warnings.add("%s: this server's WAL cannot be told from that of a copy of it", why)
	}
	if r.walMode.archive {
		why, err := r.archived(ctx, h, segments)
		if err != nil || why == "" {
			return err
		}
		if !r.walMode.fallback {
			return &ArchiveError{Reason: why}
		}
		r.warnings.add("%s; the backup carries its WAL", why)
		c = r.newCarrier(b)
	}
	r.m.WAL.Mode = repo.WALCarried
	if h.file != nil {
		err := b.PutWAL(ctx, pg.HistoryFileName(h.Timeline), bytes.NewReader(h.file))
		if err != nil {
			return err
		}
	}
	flushed, err := r.s.FlushLSN(ctx)
	if err != nil {
		return err
	}
	return c.finish(ctx, segments, max(flushed, r.m.StopLSN))
}

// archived waits for the archive to have the WAL of this backup, and says why it has not.
func (r *run) archived(ctx context.Context, h history, segments []string) (why string, err error) {
	missing, err := r.awaitArchive(ctx, h, segments)
	if err != nil {
		return "", err
	}
	if missing == "" {
		return r.archivedHere(ctx, h.History)
	}
	why = fmt.Sprintf("WAL file %s: not in the archive after %s", missing, r.o.ArchiveTimeout)
	if _, failed, err := r.s.LastArchived(ctx); err == nil && failed > 0 {
		why += fmt.Sprintf(" (the server's archiver has failed %d times)", failed)
	}
	return why, nil
}

// How often the archive is looked at: often at first, as one that keeps up has a segment within milliseconds.
const (
	firstArchivePause = 10 * time.Millisecond
	archivePause      = 100 * time.Millisecond
)

// awaitArchive waits until the archive has all segments, and gives the first that it lacks after the
// time allowed. The history file is put there if it is missing: a server archives it once, when
// its timeline begins, which may be before this archive did.
func (r *run) awaitArchive(ctx context.Context, h history, segments []string) (missing string, err error) {
	archive := r.c.WAL(r.o.Compression)
	if h.file != nil {
		err := archive.Put(ctx, pg.HistoryFileName(h.Timeline), bytes.NewReader(h.file))
		if err != nil {
			return "", err
		}
	}
	return awaitSegments(ctx, archive, segments, r.o.ArchiveTimeout)
}

// awaitSegments waits until the archive has all segments, and gives the first that it lacks after that time.
func awaitSegments(ctx context.Context, archive wal.Archive, segments []string, patience time.Duration) (
	missing string, err error,
) {
	pause := firstArchivePause
	for waited := time.Duration(0); len(segments) > 0; {
		has, err := archive.Has(ctx, segments[0])
		if err != nil {
			return "", err
		}
		if has {
			segments = segments[1:]
			continue
		}
		if waited >= patience {
			return segments[0], nil
		}
		if err := pace.Sleep(ctx, pause); err != nil {
			return "", err
		}
		waited += pause
		pause = min(2*pause, archivePause)
	}
	return "", nil
}
