package restore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/pgincr/pgincr/pkg/repo"
)

// tree is the restored directory tree: the data directory, and its tablespaces
// and pg_wal wherever they lie. Every name in it is reached from an os.Root, so
// no path and no link leads out of it. All methods belong to one goroutine; the
// directories that they hand out may be used by others.
type tree struct {
	places []place
	roots  map[string]*dir // by the path that stands for them; "" is the data directory
	owner  owner
	chown  bool
	disk   *disk
	// inPlace: an existing tree is rewritten, and what is in the way goes.
	inPlace bool
	// stack holds the open directories above the entry that was made last, each
	// below the one before it.
	stack []*dir
	// late are directories whose mode would keep this process from filling them.
	late []lateMode
	// sweeping: names that a directory has and the index passes over are removed.
	sweeping bool
	keep     func(d *dir, name string) bool // says what stays nevertheless
	removed  int64
}

// place is a directory that the restore fills.
type place struct {
	path    string // that stands for it in the index
	dir     string // where it is
	created bool   // by this restore
}

type lateMode struct {
	path string
	mode fs.FileMode
}

// openTree makes the directories that are missing and opens all.
// The tree is there to be closed, and what it made to be removed, also after an error.
func openTree(l *layout, o owner, d *disk, inPlace bool) (t *tree, err error) {
	t = &tree{roots: map[string]*dir{}, owner: o, chown: privileged() && o.known, disk: d, inPlace: inPlace}
	for _, p := range l.places() {
		p.created, err = makePlace(p.dir)
		t.places = append(t.places, p)
		if err != nil {
			return t, err
		}
		root, err := os.OpenRoot(p.dir)
		if err != nil {
			return t, err
		}
		t.roots[p.path] = newDir(root, p.path)
		if err := d.watch(root); err != nil {
			return t, err
		}
		if err := setOwner(t.roots[p.path], ".", o.uid, o.gid, o.dirMode, t.chown); err != nil {
			return t, err
		}
	}
	t.stack = []*dir{t.roots[""].hold()}
	return t, nil
}

// makePlace creates a directory unless it is there.
func makePlace(dir string) (created bool, err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return false, err
	}
	err = os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

// above opens the directory of a path, making those that the index left out, and
// gives it with the last name. It stays open until the next call; hold it for longer.
func (t *tree) above(p string) (d *dir, name string, err error) {
	parent, name := path.Split(p)
	parent = strings.TrimSuffix(parent, "/")
	for top := t.top(); !within(parent, top.path); top = t.top() {
		if err := t.pop(); err != nil {
			return nil, "", err
		}
	}
	for t.top().path != parent {
		rest := strings.TrimPrefix(parent[len(t.top().path):], "/")
		next, _, _ := strings.Cut(rest, "/")
		if err := t.push(next, t.owner.dirMode, t.owner.uid, t.owner.gid); err != nil {
			return nil, "", err
		}
	}
	return t.top(), name, nil
}

// within says whether a path is dir or lies below it.
func within(p, dir string) bool {
	return dir == "" || p == dir || strings.HasPrefix(p, dir+"/")
}

func (t *tree) top() *dir { return t.stack[len(t.stack)-1] }

func (t *tree) pop() error {
	top := t.top()
	t.stack = t.stack[:len(t.stack)-1]
	return errors.Join(t.endSweep(top), top.release())
}

// enter puts an open directory on the stack.
func (t *tree) enter(d *dir) error {
	t.stack = append(t.stack, d)
	if !t.sweeping {
		return nil
	}
	var err error
	d.sweep, err = newSweep(d, t.keep)
	return err
}

// startSweep begins to remove what the index will not name; with what walks
// the index from its beginning.
func (t *tree) startSweep(keep func(d *dir, name string) bool) error {
	for len(t.stack) > 1 {
		if err := t.pop(); err != nil {
			return err
		}
	}
	t.sweeping, t.keep = true, keep
	root := t.stack[0]
	t.stack = nil
	return t.enter(root)
}

// finishSweep ends the walk.
func (t *tree) finishSweep() error {
	for len(t.stack) > 1 {
		if err := t.pop(); err != nil {
			return err
		}
	}
	t.sweeping = false
	return t.endSweep(t.top())
}

// pass says that the index names an entry of d.
func (t *tree) pass(d *dir, name string) error {
	if d.sweep == nil {
		return nil
	}
	n, err := d.sweep.pass(name)
	t.removed += n
	return err
}

func (t *tree) endSweep(d *dir) error {
	if d.sweep == nil {
		return nil
	}
	n, err := d.sweep.end()
	t.removed += n
	d.sweep = nil
	return err
}

// makeDir makes a directory of the index and goes into it.
func (t *tree) makeDir(f *repo.File) error {
	if f.Path == rootPath {
		return nil // its owner and mode are those of the tree
	}
	if _, _, err := t.above(f.Path); err != nil {
		return err
	}
	return t.push(path.Base(f.Path), fs.FileMode(f.Mode)&fs.ModePerm, int(f.UID), int(f.GID))
}

// push makes a directory in the current one, unless it is there, and goes into it.
func (t *tree) push(name string, mode fs.FileMode, uid, gid int) error {
	up := t.top()
	p := path.Join(up.path, name)
	if err := t.pass(up, name); err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	if root, ok := t.roots[p]; ok {
		if err := t.link(up, name, t.placeOf(p)); err != nil {
			return err
		}
		return t.enter(root.hold())
	}
	if err := t.mkdir(up, name); err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	if mode&0o700 != 0o700 {
		t.late = append(t.late, lateMode{p, mode})
		mode |= 0o700
	}
	if err := setOwner(up, name, uid, gid, mode, t.chown); err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	root, err := up.root.OpenRoot(name)
	if err != nil {
		return fmt.Errorf("%s: %w", p, err)
	}
	if err := t.disk.watch(root); err != nil {
		return errors.Join(err, root.Close())
	}
	return t.enter(newDir(root, p))
}

// mkdir makes a directory. One that is there is as good; anything else in its
// place goes when the restore is in place.
func (t *tree) mkdir(up *dir, name string) error {
	err := up.root.Mkdir(name, 0o700)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	st, err := up.root.Lstat(name)
	if err != nil || st.IsDir() {
		return err
	}
	if !t.inPlace {
		return fs.ErrExist
	}
	return errors.Join(up.root.Remove(name), up.root.Mkdir(name, 0o700))
}

// makeLink makes the link of a tablespace and goes through it.
func (t *tree) makeLink(f *repo.File) error {
	if _, _, err := t.above(f.Path); err != nil {
		return err
	}
	return t.push(path.Base(f.Path), t.owner.dirMode, t.owner.uid, t.owner.gid)
}

// link makes a link to a place, unless it is there already.
func (t *tree) link(up *dir, name, to string) error {
	if have, err := up.root.Readlink(name); err == nil && have == to {
		return nil
	}
	if t.inPlace {
		if err := up.root.RemoveAll(name); err != nil {
			return err
		}
	}
	if err := up.root.Symlink(to, name); err != nil {
		return err
	}
	if !t.chown {
		return nil
	}
	return up.root.Lchown(name, t.owner.uid, t.owner.gid)
}

// placeOf gives where the place that stands at a path lies.
func (t *tree) placeOf(p string) string {
	for _, pl := range t.places {
		if pl.path == p {
			return pl.dir
		}
	}
	return ""
}

// finish sets the modes that had to wait.
func (t *tree) finish() error {
	for _, l := range t.late {
		d, name, err := t.above(l.path)
		if err != nil {
			return err
		}
		if err := d.root.Chmod(name, l.mode); err != nil {
			return fmt.Errorf("%s: %w", l.path, err)
		}
	}
	return nil
}

// close lets go of all directories.
func (t *tree) close() error {
	var errs []error
	for _, d := range t.stack {
		errs = append(errs, d.release())
	}
	for _, d := range t.roots {
		errs = append(errs, d.release())
	}
	t.stack, t.roots = nil, nil
	return errors.Join(errs...)
}

// removeEmpty takes away the directories that this restore made, as far as nobody has
// put anything into them.
func (t *tree) removeEmpty() {
	for _, p := range t.places {
		if p.created {
			_ = os.Remove(p.dir) // refuses a directory that is not empty, which is as it should be
		}
	}
}

// remove takes away what this restore has written to places that were empty.
func (t *tree) remove() error {
	var errs []error
	for _, p := range t.places {
		if p.created {
			errs = append(errs, os.RemoveAll(p.dir))
			continue
		}
		entries, err := os.ReadDir(p.dir)
		errs = append(errs, err)
		for _, e := range entries {
			errs = append(errs, os.RemoveAll(filepath.Join(p.dir, e.Name())))
		}
	}
	return errors.Join(errs...)
}
