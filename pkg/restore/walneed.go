package restore

import (
	"context"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

// verifyWAL proves that the WAL to make the backup consistent is there. Carried
// WAL has been proved with the other objects of the backup.
func (p *plan) verifyWAL(ctx context.Context, archive *repo.WALArchive, foreign bool) error {
	m := p.backup
	names, err := m.NeededWAL()
	if err != nil {
		return err
	}
	p.WALTimeline, p.WALStart, p.WALStop, p.WALFiles = m.Timeline, m.StartLSN, m.StopLSN, names
	if m.WAL.Mode == repo.WALCarried || foreign {
		return nil
	}
	if err := archive.VerifyNeeded(ctx, m, names); err != nil {
		return err
	}
	return verifyMark(ctx, m, names, archive)
}

// verifyMark proves that the archived WAL at the end of the backup is that of the server it was taken from.
func verifyMark(ctx context.Context, m *repo.Manifest, names []string, archive *repo.WALArchive) error {
	if m.WALMark == nil {
		return nil
	}
	first := m.Geometry.SegmentOf(m.WALMark.From) - m.Geometry.SegmentOf(m.StartLSN)
	sum, err := wal.SumFiles(ctx, m.Geometry, names[first:], m.WALMark.From, m.StopLSN, archive.Open)
	if err == nil && repo.FormatSum(sum) != m.WALMark.Sum {
		err = &LineError{Backup: m.ID, WAL: names[len(names)-1]}
	}
	return err
}
