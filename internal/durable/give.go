package durable

import (
	"errors"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Give gives a file on its way to the owner of root, a directory above it; see give.
func (w *File) Give(root string) error { return give(root, w.f.Name(), w.f) }

// Give gives the file of a lock to the owner of root, a directory above it; see give.
func (l *Lock) Give(root string) error { return give(root, l.f.Name(), l.f) }

// GiveDir gives a directory to the owner of root, a directory above it; see give.
func GiveDir(root, path string) error { return give(root, path, nil) }

// give gives what this process has made at path, open as f where it is no directory, to the owner of root. That
// user may move and link all below root while this goes on, so it stays as it is unless its only name is there,
// behind no link, in a directory of that user's. So does what is another's already, and everything where
// there are no owners, or root is none.
func give(root, path string, f *os.File) (err error) {
	dir, owner, err := openAbove(root, path)
	if dir == nil || err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	name := filepath.Base(path)
	if f == nil {
		if f, err = openIn(dir, name); f == nil || err != nil {
			return err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
	}
	// What has one name and has it here has none elsewhere, where its new owner could not have put it.
	var here, open unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &here, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return unlessMoved("stat", path, err)
	}
	if err := unix.Fstat(int(f.Fd()), &open); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	if here.Dev != open.Dev || here.Ino != open.Ino || int(here.Uid) != os.Geteuid() ||
		here.Mode&unix.S_IFMT != unix.S_IFDIR && here.Nlink != 1 {
		return nil
	}
	err = f.Chown(int(owner.Uid), int(owner.Gid))
	for _, errno := range []error{unix.EPERM, unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP} {
		if errors.Is(err, errno) {
			return nil
		}
	}
	return err
}

// openAbove opens the directory that path is in, and tells the owner of root. It gives nil where that is this user, or
// the directory is not the owner's, or behind a link.
func openAbove(root, path string) (dir *os.File, owner unix.Stat_t, err error) {
	rel, err := filepath.Rel(root, filepath.Dir(path))
	if err != nil {
		return nil, owner, err
	}
	if dir, err = os.Open(root); err != nil { // links that lead to it are the operator's
		return nil, owner, err
	}
	if err := unix.Fstat(int(dir.Fd()), &owner); err != nil {
		return nil, owner, errors.Join(&os.PathError{Op: "stat", Path: root, Err: err}, dir.Close())
	}
	if int(owner.Uid) == os.Geteuid() {
		return nil, owner, dir.Close()
	}
	if rel != "." {
		for e := range strings.SplitSeq(rel, string(filepath.Separator)) {
			next, err := openIn(dir, e)
			if err = errors.Join(err, dir.Close()); next == nil || err != nil {
				return nil, owner, err
			}
			dir = next
		}
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(dir.Fd()), &st); err != nil {
		return nil, owner, errors.Join(&os.PathError{Op: "stat", Path: dir.Name(), Err: err}, dir.Close())
	}
	if st.Uid != owner.Uid {
		return nil, owner, dir.Close()
	}
	return dir, owner, nil
}

// openIn opens a directory in another; nil where it is none, a link, or gone.
func openIn(dir *os.File, name string) (*os.File, error) {
	path := filepath.Join(dir.Name(), name)
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, unlessMoved("open", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// unlessMoved is nil where the error says that something is not what it was.
func unlessMoved(op, path string, err error) error {
	for _, errno := range []error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP} {
		if errors.Is(err, errno) {
			return nil
		}
	}
	return &os.PathError{Op: op, Path: path, Err: err}
}
