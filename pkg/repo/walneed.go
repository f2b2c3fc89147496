package repo

import (
	"context"
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
)

// WALError: WAL without which a restored cluster does not become consistent or does not reach the target
// is missing.
type WALError struct {
	Backup  string
	Missing string // the first file that is missing
	Reason  string
}

func (e *WALError) Error() string {
	return fmt.Sprintf("backup %s: WAL file %s is missing: %s", e.Backup, e.Missing, e.Reason)
}

// NeededWAL gives the names of the WAL segments from a backup's start to its stop position, oldest first. The
// list in the manifest knows on which timeline each was archived; it must cover the range, and a backup that
// carries its WAL must have them all. *WALError: it lacks one. Nothing is read.
func (m *Manifest) NeededWAL() ([]string, error) {
	g := m.Geometry
	if m.StopLSN <= m.StartLSN {
		return nil, fmt.Errorf("backup %s: stops at %s, not after its start %s: %w", m.ID, m.StopLSN, m.StartLSN, ErrCorrupt)
	}
	first, last := g.SegmentOf(m.StartLSN), g.SegmentOf(m.StopLSN-1)
	listed := map[pg.SegNo]string{}
	for _, name := range m.WAL.Segments {
		if _, ok := pg.ParseHistoryFileName(name); ok {
			continue
		}
		_, n, err := g.ParseWALFileName(name)
		if err != nil {
			return nil, fmt.Errorf("backup %s: %w: %w", m.ID, err, ErrCorrupt)
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
		if _, ok := m.object(walPrefix + name); !ok && m.WAL.Mode == WALCarried {
			return nil, &WALError{Backup: m.ID, Missing: name, Reason: "the backup does not carry it"}
		}
		names = append(names, name)
	}
	return names, nil
}

// VerifyNeeded proves that the archive has what Manifest.NeededWAL names, unless the backup carries it. *WALError: it
// lacks one.
func (a *WALArchive) VerifyNeeded(ctx context.Context, m *Manifest, names []string) error {
	if m.WAL.Mode == WALCarried {
		return nil
	}
	for _, name := range names {
		ok, err := a.Has(ctx, name)
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
	return nil
}
