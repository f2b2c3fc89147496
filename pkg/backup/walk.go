package backup

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pgincr/pgincr/pkg/pg"
)

// walker yields what belongs to the backup of one data directory, in
// pg.ComparePaths order, while the server keeps changing it: what vanishes between a
// directory's listing and the look at the file is gone, not an error. One directory's
// names are in memory at a time, and those of the directories above it.
type walker struct {
	root       string // the data directory
	major      int
	versionDir string // pg.TablespaceVersionDir
	skipped    *warnings
	// inside are the directories below root that are the targets of tablespace links:
	// they are copied as tablespaces only (sendDir in backup/basebackup.c).
	inside map[string]bool
}

// walk yields the entries; the data directory itself is "." among them.
func (w walker) walk(ctx context.Context) iter.Seq2[*entry, error] {
	return func(yield func(*entry, error) bool) {
		if err := w.findInside(); err != nil {
			yield(nil, err)
			return
		}
		w.dir(ctx, "", func(e *entry, err error) bool {
			if err == nil && ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return yield(e, err) && err == nil
		})
	}
}

// disk gives the place of an index path on disk.
func (w *walker) disk(path string) string {
	return filepath.Join(w.root, filepath.FromSlash(path))
}

// findInside looks for tablespaces that lie below the data directory.
func (w *walker) findInside() error {
	w.inside = map[string]bool{}
	names, err := readNames(w.disk("pg_tblspc"))
	if err != nil {
		return err
	}
	root, err := filepath.EvalSymlinks(w.root)
	if err != nil {
		return err
	}
	for _, name := range names {
		target, err := filepath.EvalSymlinks(w.disk("pg_tblspc/" + name))
		if err != nil {
			continue // not there any more, or broken: tablespace() tells
		}
		rel, err := filepath.Rel(root, target)
		if err == nil && rel != "." && filepath.IsLocal(rel) {
			w.inside[filepath.ToSlash(rel)] = true
		}
	}
	return nil
}

type yieldFunc func(*entry, error) bool

// dir yields what lies below one directory; false means: stop.
func (w *walker) dir(ctx context.Context, path string, yield yieldFunc) bool {
	names, err := readNames(w.disk(path))
	if errors.Is(err, fs.ErrNotExist) && path != "" {
		return true
	}
	if err != nil {
		return yield(nil, err)
	}
	if path == "" {
		names = append(names, ".")
	}
	slices.SortFunc(names, pg.ComparePaths)
	var unlogged map[string]bool
	relations := isRelationDir(path)
	if relations {
		unlogged = unloggedRelations(names)
	}
	for _, name := range names {
		full := name
		if path != "" {
			full = path + "/" + name
		}
		if excludedName(name) || (path == "" && excludedRoot(name)) ||
			(relations && (isTempRelation(name) || isReset(full, unlogged))) {
			continue
		}
		if !w.one(ctx, full, yield) {
			return false
		}
	}
	return true
}

// one yields the entry at path and, if it is a directory, what lies below.
func (w *walker) one(ctx context.Context, path string, yield yieldFunc) bool {
	st, err := statPath(w.disk(path), false)
	if errors.Is(err, fs.ErrNotExist) {
		return true
	}
	if err != nil {
		return yield(nil, err)
	}
	root := !strings.Contains(path, "/")
	switch {
	case path == ".":
		return yield(newEntry(path, entryDir, st), nil)
	case path == "pg_wal" || (root && emptied(path)):
		return w.empty(path, st, yield)
	case strings.HasPrefix(path, "pg_tblspc/") && strings.Count(path, "/") == 1:
		return w.tablespace(ctx, path, st, yield)
	case st.kind.IsDir():
		if !yield(newEntry(path, entryDir, st), nil) {
			return false
		}
		return w.inside[path] || w.dir(ctx, path, yield)
	case st.kind.IsRegular():
		if path == controlPath {
			return true // copied last, by itself
		}
		e := newEntry(path, entryFile, st)
		e.rel, e.isRel = pg.ParseRelPath(path)
		return yield(e, nil)
	case st.kind&fs.ModeSymlink != 0:
		w.skipped.add("%s: a symbolic link, not part of the backup", path)
	default:
		w.skipped.add("%s: a special file, not part of the backup", path)
	}
	return true
}

// empty yields a directory without what it holds. A link that stands for it becomes
// a plain directory.
func (w *walker) empty(path string, st stat, yield yieldFunc) bool {
	if st.kind&fs.ModeSymlink != 0 {
		var err error
		if st, err = statPath(w.disk(path), true); err != nil {
			return yield(nil, err)
		}
	}
	if !st.kind.IsDir() {
		return yield(nil, fmt.Errorf("%s: not a directory", w.disk(path)))
	}
	e := newEntry(path, entryDir, st)
	if !yield(e, nil) {
		return false
	}
	if path != "pg_wal" {
		return true
	}
	for _, sub := range []string{"archive_status", "summaries"} {
		if sub == "summaries" && w.major < 17 {
			continue
		}
		s := *e
		s.path = path + "/" + sub
		if !yield(&s, nil) {
			return false
		}
	}
	return true
}

// tablespace yields pg_tblspc/<oid>: a link, or a directory (allow_in_place_tablespaces), with the
// only directory in it that belongs to this server.
func (w *walker) tablespace(ctx context.Context, path string, st stat, yield yieldFunc) bool {
	e := newEntry(path, entryDir, st)
	switch {
	case st.kind&fs.ModeSymlink != 0:
		target, err := os.Readlink(w.disk(path))
		if errors.Is(err, fs.ErrNotExist) {
			return true
		}
		if err != nil {
			return yield(nil, err)
		}
		e.kind, e.link, e.size = entryLink, target, 0
	case !st.kind.IsDir():
		w.skipped.add("%s: neither link nor directory, not part of the backup", path)
		return true
	}
	if !yield(e, nil) {
		return false
	}
	return w.one(ctx, path+"/"+w.versionDir, yield)
}

func newEntry(path string, kind entryKind, st stat) *entry {
	e := &entry{
		path: path, kind: kind, mode: st.mode, uid: st.uid, gid: st.gid,
		mtime: st.mtime, identity: st.identity,
	}
	if kind == entryFile {
		e.size, e.sparse = st.size, st.sparse
	}
	return e
}

// readNames lists a directory: only the names, which is all that is needed of a million files.
func readNames(dir string) (names []string, err error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err = d.Readdirnames(-1)
	return names, errors.Join(err, d.Close())
}

// isRelationDir says whether relation files lie directly in dir.
func isRelationDir(dir string) bool {
	_, ok := pg.ParseRelPath(dir + "/1")
	return ok
}

// unloggedRelations gives the numbers of the relations that have an init fork among the names of their
// directory. That the listing is older than the copy is harmless: a relation that
// becomes unlogged, or logged, gets new files.
func unloggedRelations(names []string) map[string]bool {
	out := map[string]bool{}
	for _, name := range names {
		if rel, ok := strings.CutSuffix(name, "_init"); ok && isDigits(rel) {
			out[rel] = true
		}
	}
	return out
}

// isReset says whether a file belongs to an unlogged relation and is not its init fork, from which
// recovery makes the other ones anew.
func isReset(path string, unlogged map[string]bool) bool {
	if len(unlogged) == 0 {
		return false
	}
	rel, ok := pg.ParseRelPath(path)
	return ok && rel.Fork != pg.InitFork && unlogged[strconv.FormatUint(uint64(rel.Rel), 10)]
}
