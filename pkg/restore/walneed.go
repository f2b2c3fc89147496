package restore

import (
	"context"
	"fmt"
	"slices"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/wal"
)

// VerifyWALList proves that a manifest lists all WAL from the backup's start to its stop position and, of a backup
// that carries it, that it has it. Nothing is read.
func VerifyWALList(m *repo.Manifest) error {
	names, err := neededWAL(m)
	if err != nil || m.WAL.Mode != repo.WALCarried {
		return err
	}
	for _, name := range names {
		if !slices.ContainsFunc(m.Objects, func(o repo.Object) bool { return o.Name == "wal/"+name }) {
			return &WALError{Backup: m.ID, Missing: name, Reason: "the backup does not carry it"}
		}
	}
	return nil
}

// neededWAL gives the names of the WAL segments from a backup's start to its stop
// position, oldest first. The list in the manifest knows on which timeline each
// was archived; it must cover the range.
func neededWAL(m *repo.Manifest) ([]string, error) {
	g := m.Geometry
	if m.StopLSN <= m.StartLSN {
		return nil, fmt.Errorf("backup %s: stops at %s, not after its start %s: %w",
			m.ID, m.StopLSN, m.StartLSN, repo.ErrCorrupt)
	}
	first, last := g.SegmentOf(m.StartLSN), g.SegmentOf(m.StopLSN-1)
	listed := map[pg.SegNo]string{}
	for _, name := range m.WAL.Segments {
		if _, ok := pg.ParseHistoryFileName(name); ok {
			continue
		}
		_, n, err := g.ParseWALFileName(name)
		if err != nil {
			return nil, fmt.Errorf("backup %s: %w: %w", m.ID, err, repo.ErrCorrupt)
		}
		if old, ok := listed[n]; !ok || old < name { // the newer timeline's has the older's beginning
			listed[n] = name
		}
	}
	var names []string
	for n := first; n <= last; n++ {
		name, ok := listed[n]
		if !ok {
			name = g.WALFileName(m.Timeline, n)
			if len(listed) > 0 {
				return nil, &WALError{Backup: m.ID, Missing: name, Reason: "the backup does not list it"}
			}
		}
		names = append(names, name)
	}
	return names, nil
}

// verifyWAL proves that the WAL to make the backup consistent is there. Carried
// WAL has been proved with the other objects of the backup.
func (p *plan) verifyWAL(ctx context.Context, archive *repo.WALArchive, foreign bool) error {
	m := p.backup
	names, err := neededWAL(m)
	if err != nil {
		return err
	}
	p.WALTimeline, p.WALStart, p.WALStop, p.WALFiles = m.Timeline, m.StartLSN, m.StopLSN, names
	if m.WAL.Mode == repo.WALCarried || foreign {
		return nil
	}
	for _, name := range names {
		ok, err := archive.Has(ctx, name)
		if err != nil {
			return err
		}
		if !ok {
			return &WALError{
				Backup: m.ID, Missing: name,
				Reason: "it is not in the archive, and the cluster cannot become consistent without it",
			}
		}
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
