package restore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

// archiveLine is how the archive stands to a backup that carries its own WAL. Two servers may have gone
// different ways on timelines of one number: two standbys that were both promoted, or
// a copy that was started without recovery. Names and positions are then alike, and WAL
// of the one replayed over pages of the other spoils them without an error.
type archiveLine struct {
	continues bool   // the archive goes on where the backup stops
	foreign   string // why its WAL is of another line; "": it is not, or there is none
}

// lineOf compares the archive with the WAL that the backup carries: the timeline's history file, and the
// last segment byte for byte up to the backup's stop position or, where only the next one is
// archived, the joint of the two by the links of their records.
func lineOf(ctx context.Context, b *repo.BackupReader, archive wal.Archive) (archiveLine, error) {
	m := b.Manifest
	names, err := m.NeededWAL()
	if err != nil {
		return archiveLine{}, err
	}
	why, err := otherHistory(ctx, m, archive)
	if why != "" || err != nil {
		return archiveLine{foreign: why}, err
	}
	last := names[len(names)-1]
	switch in, err := archive.Open(ctx, last); {
	case err == nil:
		same, err := sameBytes(ctx, b, last, in)
		if err == nil && !same {
			return archiveLine{foreign: fmt.Sprintf("%s in the archive is not the one that backup %s carries", last, m.ID)}, nil
		}
		return archiveLine{continues: same}, err
	case !errors.Is(err, fs.ErrNotExist):
		return archiveLine{}, err
	}
	return nextSegment(ctx, b, archive, names)
}

// otherHistory says that the archive's history of the backup's timeline is not the backup's.
func otherHistory(ctx context.Context, m *repo.Manifest, archive wal.Archive) (why string, err error) {
	own, err := pg.ParseHistory(m.Timeline, []byte(m.History))
	if err != nil {
		return "", fmt.Errorf("backup %s: %w", m.ID, err)
	}
	theirs, ok, err := readHistory(ctx, archive, m.Timeline)
	if ok && err == nil && !own.SameLine(theirs, m.Timeline, m.StopLSN) {
		why = fmt.Sprintf("%s in the archive is of another timeline %d than that of backup %s",
			pg.HistoryFileName(m.Timeline), m.Timeline, m.ID)
	}
	return why, err
}

// sameBytes compares an archived segment, which it closes, with the carried one of that name up to the
// backup's stop position.
func sameBytes(ctx context.Context, b *repo.BackupReader, name string, archived io.ReadCloser) (same bool, err error) {
	defer func() { err = errors.Join(err, archived.Close()) }()
	carried, err := b.OpenWAL(ctx, name)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, carried.Close()) }()
	g, stop := b.Manifest.Geometry, b.Manifest.StopLSN
	left := int64(stop - g.SegmentStart(g.SegmentOf(stop-1)))
	one, two := make([]byte, 64<<10), make([]byte, 64<<10)
	for left > 0 {
		n := int(min(left, int64(len(one))))
		if _, err := io.ReadFull(carried, one[:n]); err != nil {
			return false, fmt.Errorf("carried %s: %w", name, err)
		}
		if _, err := io.ReadFull(archived, two[:n]); err != nil {
			return false, fmt.Errorf("archived %s: %w", name, err)
		}
		if !bytes.Equal(one[:n], two[:n]) {
			return false, nil
		}
		left -= int64(n)
	}
	return true, nil
}

// nextSegment proves that the archived segment behind the last carried one follows on it.
func nextSegment(ctx context.Context, b *repo.BackupReader, archive wal.Archive, names []string) (archiveLine, error) {
	m := b.Manifest
	next := m.Geometry.WALFileName(m.Timeline, m.Geometry.SegmentOf(m.StopLSN-1)+1)
	in, err := archive.Open(ctx, next)
	if errors.Is(err, fs.ErrNotExist) {
		return archiveLine{}, nil
	}
	if err == nil {
		err = in.Close()
	}
	if err != nil {
		return archiveLine{}, err
	}
	history, err := pg.ParseHistory(m.Timeline, []byte(m.History))
	if err != nil {
		return archiveLine{}, err
	}
	req := wal.MapRequest{
		SystemIdentifier: m.SystemIdentifier, Geometry: m.Geometry, History: history, Jobs: 1,
		FromTimeline: m.Timeline, From: m.StartLSN,
		Archive: &carriedArchive{Archive: archive, b: b, names: append(names, next), next: next},
	}
	req.To, err = wal.End(ctx, req)
	if err == nil {
		_, err = wal.Build(ctx, req)
	}
	var incomplete *wal.IncompleteError
	switch ok := errors.As(err, &incomplete); {
	case ok && incomplete.Finding:
		err = nil // it follows; no page map is wanted of it
	case ok && !incomplete.Unread:
		return archiveLine{foreign: fmt.Sprintf("%s in the archive does not follow on the WAL that backup %s carries (%s)",
			next, m.ID, incomplete.Reason)}, nil
	}
	return archiveLine{continues: err == nil}, err
}

// carriedArchive has the segments that a backup carries and one archived behind them.
type carriedArchive struct {
	wal.Archive
	b     *repo.BackupReader
	names []string
	next  string
}

// Open gives a segment.
func (a *carriedArchive) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	if name == a.next {
		return a.Archive.Open(ctx, name)
	}
	return a.b.OpenWAL(ctx, name)
}

// List gives those there are.
func (a *carriedArchive) List(context.Context, uint32, string) ([]string, error) { return a.names, nil }

// ListMaps gives none: the carried WAL is not that of stored maps.
func (a *carriedArchive) ListMaps(context.Context, string) ([]string, error) { return nil, nil }

// GetMap finds none.
func (a *carriedArchive) GetMap(context.Context, string) ([]byte, error) { return nil, fs.ErrNotExist }
