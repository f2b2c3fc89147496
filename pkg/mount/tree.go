package mount

import (
	"cmp"
	"context"
	"path"
	"slices"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// entry is a file or directory that is shown.
type entry struct {
	name     string
	ino      uint64
	mode     uint32 // permission bits
	uid, gid uint32
	size     int64
	mtime    time.Time
	children map[string]*entry // nil: a file
	content  content           // of a file
}

func (e *entry) isDir() bool { return e.children != nil }

// sorted gives the children by name.
func (e *entry) sorted() []*entry {
	all := make([]*entry, 0, len(e.children))
	for _, c := range e.children {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(a.name, b.name) })
	return all
}

// tree is a data directory under construction.
type tree struct {
	root *entry
	last uint64 // inode number
	// owner overrides the recorded owner: who is not root sees the files as his own.
	owner    *[2]uint32
	uid, gid uint32 // of what the backup does not know
	made     time.Time
}

func newTree(owner *[2]uint32, made time.Time) *tree {
	t := &tree{owner: owner, made: made}
	t.root = &entry{children: map[string]*entry{}, mode: 0o700, mtime: made}
	t.number(t.root)
	return t
}

// number gives an entry its inode number and, if the tree has one owner, that.
func (t *tree) number(e *entry) {
	t.last++
	e.ino = t.last
	if t.owner != nil {
		e.uid, e.gid = t.owner[0], t.owner[1]
	}
}

// dir gives a directory, and makes it and those above it where they are missing.
func (t *tree) dir(p string) *entry {
	if p == "." || p == "" {
		return t.root
	}
	parent := t.dir(path.Dir(p))
	name := path.Base(p)
	if e := parent.children[name]; e != nil && e.isDir() {
		return e
	}
	e := &entry{
		name: name, children: map[string]*entry{}, mode: t.root.mode, uid: t.uid, gid: t.gid, mtime: t.made,
	}
	t.number(e)
	parent.children[name] = e
	return e
}

// put puts a file to its place.
func (t *tree) put(p string, e *entry) {
	e.name = path.Base(p)
	t.number(e)
	t.dir(path.Dir(p)).children[e.name] = e
}

// add puts what the server itself would not find in the index.
func (t *tree) add(p string, data []byte) {
	t.put(p, &entry{
		mode: t.root.mode & 0o666, uid: t.uid, gid: t.gid, size: int64(len(data)), mtime: t.made, content: memory(data),
	})
}

// index puts everything that the chain's newest backup has.
func (t *tree) index(ctx context.Context, ch *repo.Chain, fr *frames) error {
	g := ch.Backups[0].Manifest.Geometry
	for cf, err := range ch.Files(ctx) {
		if err != nil {
			return err
		}
		f := cf.Versions[0]
		switch f.Kind {
		case repo.KindDir:
			d := t.dir(f.Path)
			d.mode, d.mtime = f.Mode&0o777, f.ModTime
			if t.owner == nil {
				d.uid, d.gid = f.UID, f.GID
			}
		case repo.KindLink:
			t.dir(f.Path)
		case repo.KindFile, repo.KindRelation:
			if f.Path == "PG_VERSION" { // the cluster's owner
				t.uid, t.gid = f.UID, f.GID
				if t.owner == nil {
					t.root.uid, t.root.gid = f.UID, f.GID
				}
				if f.Mode&0o040 != 0 {
					t.root.mode = 0o750
				}
			}
			t.put(f.Path, &entry{
				mode: f.Mode & 0o777, uid: f.UID, gid: f.GID, size: f.Size, mtime: f.ModTime,
				content: &assembled{cf: cf, g: g, frames: fr},
			})
		}
	}
	return nil
}

// complete adds what a server needs to start from the backup.
func (t *tree) complete(ctx context.Context, m *repo.Manifest, control []byte, wal map[string]content) error {
	t.made = m.FinishedAt
	for _, d := range pg.ServerDirs(m.PGVersion / 10000) {
		t.dir(d)
	}
	t.add("backup_label", []byte(m.BackupLabel))
	t.add("global/pg_control", control)
	if m.History != "" {
		t.add("pg_wal/"+pg.HistoryFileName(m.Timeline), []byte(m.History))
	}
	for name, c := range wal {
		t.put("pg_wal/"+name, &entry{
			mode: t.root.mode & 0o666, uid: t.uid, gid: t.gid, size: int64(m.Geometry.WALSegmentSize), mtime: t.made, content: c,
		})
	}
	return t.configure(ctx, m)
}

// wantsInPlace says whether a server objects to directories in pg_tblspc unless allow_in_place_tablespaces is on:
// since 15, and since the minor releases of August 2022 (CheckTablespaceDirectory, access/xlogrecovery.c). Those
// before do not know the setting.
func wantsInPlace(version int) bool {
	since := map[int]int{13: 130008, 14: 140005}
	return version >= max(130000, since[version/10000])
}

// configure switches archiving off: what runs on the directory must not archive WAL of its own.
func (t *tree) configure(ctx context.Context, m *repo.Manifest) error {
	const name = "postgresql.auto.conf"
	var conf []byte
	if old := t.root.children[name]; old != nil && old.content != nil {
		conf = make([]byte, old.size)
		if _, err := old.content.read(ctx, conf, 0); err != nil {
			return err
		}
	}
	if len(conf) > 0 && conf[len(conf)-1] != '\n' {
		conf = append(conf, '\n')
	}
	conf = append(conf, "# pgincr mount of backup "+m.ID+"\narchive_mode = 'off'\n"...)
	if wantsInPlace(m.PGVersion) && len(t.dir("pg_tblspc").children) > 0 {
		conf = append(conf, "allow_in_place_tablespaces = 'on'\n"...)
	}
	t.add(name, conf)
	return nil
}
