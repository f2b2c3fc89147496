package restore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// existing is what an in-place restore finds in its target.
type existing struct {
	dir    string
	marker *marker           // of a restore that did not finish
	wal    string            // where the link pg_wal leads, "" if it is none
	spaces map[pg.OID]string // where the links in pg_tblspc lead
	// devices are the file systems of directories that were asked for.
	devices map[string]uint64
}

// lookInPlace proves that a directory may be rewritten as the cluster of a
// backup: it is a data directory, or half of one that a restore has left; it is not another
// cluster's; no server runs on it. It gives nil for a directory that is empty or
// missing, where an in-place restore is like any other.
func lookInPlace(target string, m *repo.Manifest) (*existing, error) {
	err := verifyEmptyDir(target)
	var te *TargetError
	if !errors.As(err, &te) || te.Problem != NotEmpty && te.Problem != HalfRestored {
		return nil, err
	}
	e := &existing{dir: target, spaces: map[pg.OID]string{}, devices: map[string]uint64{}}
	if err := e.readMarker(); err != nil {
		return nil, err
	}
	if err := e.verifyCluster(m); err != nil {
		return nil, err
	}
	return e, e.readLinks()
}

// maxSmallFile bounds what is read of files that describe a directory.
const maxSmallFile = 1 << 20

// readSmall reads a file of the target; nil if there is none.
func (e *existing) readSmall(name string) (b []byte, err error) {
	f, err := os.Open(filepath.Join(e.dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err = io.ReadAll(io.LimitReader(f, maxSmallFile))
	return b, errors.Join(err, f.Close())
}

// readMarker finds the marker of an unfinished restore. One that was torn when
// the machine stopped still tells whose the directory is.
func (e *existing) readMarker() error {
	b, err := e.readSmall(markerName)
	if b == nil || err != nil {
		return err
	}
	e.marker = new(marker)
	if json.Unmarshal(b, e.marker) != nil {
		e.marker = new(marker)
	}
	return nil
}

// verifyCluster refuses a directory that is no cluster's, or another's. What is
// damaged or missing does not count against it.
func (e *existing) verifyCluster(m *repo.Manifest) error {
	version, err := e.readSmall("PG_VERSION")
	if err != nil {
		return err
	}
	if version == nil && e.marker == nil {
		return &TargetError{Dir: e.dir, Problem: NotData, Detail: "it has no PG_VERSION"}
	}
	other := func(detail string) error {
		return &TargetError{Dir: e.dir, Problem: OtherCluster, Detail: detail}
	}
	if k := e.marker; k != nil && k.SystemIdentifier != 0 && k.SystemIdentifier != m.SystemIdentifier {
		return other(fmt.Sprintf("an unfinished restore of system identifier %d, not %d",
			k.SystemIdentifier, m.SystemIdentifier))
	}
	control, err := e.readSmall(controlPath)
	if err != nil {
		return err
	}
	if c, err := pg.ParseControl(control); err == nil {
		if c.SystemIdentifier != m.SystemIdentifier {
			return other(fmt.Sprintf("system identifier %d, not %d", c.SystemIdentifier, m.SystemIdentifier))
		}
		return nil
	}
	major, err := strconv.Atoi(string(bytes.TrimSpace(version)))
	if err == nil && major != m.PGVersion/10000 && e.marker == nil {
		return other(fmt.Sprintf("PostgreSQL %d, not %d", major, m.PGVersion/10000))
	}
	return nil
}

// readLinks finds the tablespaces and pg_wal where they are now.
func (e *existing) readLinks() error {
	if to, err := os.Readlink(filepath.Join(e.dir, walDirName)); err == nil {
		e.wal = absolute(e.dir, to)
	}
	entries, err := os.ReadDir(filepath.Join(e.dir, tblspcDirName))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, entry := range entries {
		p := tblspcDirName + "/" + entry.Name()
		oid, ok := linkOID(p)
		if !ok {
			continue
		}
		if to, err := os.Readlink(filepath.Join(e.dir, p)); err == nil {
			e.spaces[oid] = absolute(filepath.Join(e.dir, tblspcDirName), to)
		}
	}
	return err
}

func absolute(dir, to string) string {
	if filepath.IsAbs(to) {
		return filepath.Clean(to)
	}
	return filepath.Join(dir, to)
}

// verifyArchived refuses a pg_wal with whole segments that wait for being archived and that the
// archive does not have.
func (e *existing) verifyArchived(ctx context.Context, archive *repo.WALArchive) error {
	pgWAL, err := os.OpenRoot(filepath.Join(e.dir, walDirName))
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil
	}
	if err != nil {
		return err
	}
	segments, err := unarchived(ctx, pgWAL, archive)
	if err = errors.Join(err, pgWAL.Close()); err != nil || len(segments) == 0 {
		return err
	}
	return &UnarchivedError{Dir: e.dir, Segments: segments}
}

// unarchived lists the segments of a pg_wal that wait and that the archive lacks.
func unarchived(ctx context.Context, pgWAL *os.Root, archive *repo.WALArchive) ([]string, error) {
	entries, err := fs.ReadDir(pgWAL.FS(), "archive_status")
	if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return nil, err
	}
	var segments []string
	for _, entry := range entries {
		name, ready := strings.CutSuffix(entry.Name(), ".ready")
		if !ready || !pg.IsWALFileName(name) {
			continue
		}
		if _, err := pgWAL.Lstat(name); err != nil {
			continue // it is lost already
		}
		archived, err := archive.Has(ctx, name)
		if err != nil {
			return nil, err
		}
		if !archived {
			segments = append(segments, name)
		}
	}
	return segments, nil
}

// verifyPlaces refuses directories outside of the target that hold something
// and are not known to be this cluster's.
func (e *existing) verifyPlaces(l *layout) error {
	for _, p := range l.places()[1:] {
		if e.owns(p) {
			st, err := os.Stat(p.dir)
			if err == nil && !st.IsDir() {
				return &TargetError{Dir: p.dir, Problem: NotDirectory}
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			continue
		}
		if err := verifyEmptyDir(p.dir); err != nil {
			return err
		}
	}
	return nil
}

// owns says whether the target's links, or the restore that did not finish, lead to a place.
func (e *existing) owns(p place) bool {
	if p.path == walDirName && e.wal == p.dir {
		return true
	}
	if oid, ok := linkOID(p.path); ok && e.spaces[oid] == p.dir {
		return true
	}
	if e.marker == nil {
		return false
	}
	for _, known := range e.marker.Places {
		if known.Path == p.path && known.Dir == p.dir {
			return true
		}
	}
	return false
}

// orphans lists the tablespaces of the target that the backup does not have. Their
// links go; what they led to is left alone.
func (e *existing) orphans(l *layout) []string {
	var dirs []string
	for oid, dir := range e.spaces {
		if l.spaces[oid] != dir {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// disarm takes global/pg_control away before anything else changes: no server
// starts on the directory until the restore, or the next one, has finished.
func (r *run) disarm() error {
	d, name, err := r.tree.above(controlPath)
	if err != nil {
		return err
	}
	if err := d.root.RemoveAll(name); err != nil {
		return err
	}
	for _, dir := range r.plan.old.orphans(r.plan.layout) {
		r.result.Warnings = append(r.result.Warnings, fmt.Sprintf(
			"%s: tablespace directory is not part of the restored cluster any more; it was left as it is", dir))
	}
	return syncDir(d)
}

// keep says what an in-place restore leaves alone although the index does not have
// it: its own files, and in a tablespace what belongs to servers of other versions.
func (r *run) keep(d *dir, name string) bool {
	if r.tree.roots[d.path] != nil && name == "lost+found" { // the file system's own
		return true
	}
	if d.path == "" {
		return name == markerName || name == pg.BackupManifestName
	}
	if _, ok := linkOID(d.path); !ok || r.tree.roots[d.path] == nil {
		return false
	}
	return name != pg.TablespaceVersionDir(r.major(), r.plan.backup.CatalogVersion)
}
