package restore

import (
	"context"
	"fmt"
	"iter"
	"path"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// versionFile tells the major version in every directory of a database.
const versionFile = "PG_VERSION"

// firstNormalOID is the first that initdb does not give (FirstNormalObjectId, access/transam.h).
const firstNormalOID = 16384

// standIns are the databases that are not restored. Their relation files become holes of the same
// length, so that they cost no space and replay finds the files that it expects. Their PG_VERSION is
// empty: a server refuses to connect to such a database, instead of crashing over its catalogs, and so it
// does to copies that replay makes of it. All else of them, and the shared catalogs, come as they are. A
// database that the backup does not know, because it was made later, is made by replay.
//
// Replay restores a page from its full image the first time that it changes, so that zeros do for most. Some
// records change a page without such an image (the all-visible flag without checksums, the buckets of hash
// indexes), and the server would stop at them; ignore_invalid_pages makes it warn instead.
type standIns struct {
	oids map[pg.OID]bool
	list []repo.Database
}

// ignoreInvalidPages is the setting with which replay goes on over stand-ins, in all versions from 13 on.
const ignoreInvalidPages = "ignore_invalid_pages"

// DatabaseError: a backup does not have a database that was asked for.
type DatabaseError struct {
	Backup string
	Name   string
	Known  []string // those it has; none: it does not tell
}

func (e *DatabaseError) Error() string {
	if len(e.Known) == 0 {
		return fmt.Sprintf("backup %s: does not tell the names of its databases", e.Backup)
	}
	return fmt.Sprintf("backup %s: no database %q; it has %s", e.Backup, e.Name, strings.Join(e.Known, ", "))
}

// newStandIns finds the databases that are not among names; nil where no name is given: all are restored. Templates and
// what initdb makes always are.
func newStandIns(m *repo.Manifest, names []string) (*standIns, error) {
	if len(names) == 0 {
		return nil, nil
	}
	var known []string
	for _, d := range m.Databases {
		known = append(known, d.Name)
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return nil, &DatabaseError{Backup: m.ID, Name: name, Known: known}
		}
	}
	s := &standIns{oids: map[pg.OID]bool{}}
	for _, d := range m.Databases {
		if d.Template || d.OID < firstNormalOID || slices.Contains(names, d.Name) {
			continue
		}
		s.oids[d.OID] = true
		s.list = append(s.list, d)
	}
	return s, nil
}

// dropSQL is what drops the stand-ins, for psql. By OID: after recovery a database may have another name, and another
// database this one.
func (s *standIns) dropSQL() string {
	if s == nil || len(s.list) == 0 {
		return ""
	}
	var oids []string
	for _, d := range s.list {
		oids = append(oids, fmt.Sprint(d.OID))
	}
	return fmt.Sprintf(`SELECT format('DROP DATABASE %%I', datname) FROM pg_database WHERE oid IN (%s) \gexec`,
		strings.Join(oids, ", "))
}

// files gives the files of a chain, those of stand-ins as holes.
func (s *standIns) files(ctx context.Context, ch *repo.Chain) iter.Seq2[*repo.ChainFile, error] {
	if s == nil || len(s.oids) == 0 {
		return ch.Files(ctx)
	}
	g := ch.Backups[0].Manifest.Geometry
	return func(yield func(*repo.ChainFile, error) bool) {
		for cf, err := range ch.Files(ctx) {
			if err == nil {
				cf = s.replace(cf, g)
			}
			if !yield(cf, err) {
				return
			}
		}
	}
}

// replace gives what is restored in the place of a file: a relation of the same length and attributes that has nothing
// but zeros, an empty PG_VERSION, or the file.
func (s *standIns) replace(cf *repo.ChainFile, g pg.Geometry) *repo.ChainFile {
	f := *cf.Versions[0]
	switch {
	case f.Kind == repo.KindRelation:
		segment, ok := pg.ParseRelPath(f.Path)
		if !ok || !s.oids[segment.DB] {
			return cf
		}
		f.Zero = nil
		if n := f.Blocks(g); n > 0 {
			f.Zero = []repo.BlockRun{{First: 0, Count: n}}
		}
	case f.Kind == repo.KindFile && path.Base(f.Path) == versionFile:
		// Any relation's path in the same directory tells the database.
		sibling, ok := pg.ParseRelPath(path.Dir(f.Path) + "/1")
		if !ok || !s.oids[sibling.DB] {
			return cf
		}
		f.Size, f.Sum = 0, xxhash.Sum64(nil)
	default:
		return cf
	}
	f.Whole, f.Frames = true, nil
	return &repo.ChainFile{Path: cf.Path, Versions: []*repo.File{&f}, Depth: []int{0}}
}
