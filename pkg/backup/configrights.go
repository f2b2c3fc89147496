package backup

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// What may be wrong with a file besides what the system says.
var (
	errNotServers = errors.New("the owner of the data directory may not read it")
	errExchanged  = errors.New("exchanged while it was opened")
	errNotRegular = errors.New("not a regular file")
)

// open opens a file or a directory of configuration. A process that may read anything opens only what the server
// could read itself: whoever may change the server's configuration names the files that it includes, and
// would have /etc/shadow put into a backup.
func (c *configuration) open(path string) (*os.File, error) {
	owner, err := statPath(c.dataDir, true)
	if err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 || owner.uid == 0 {
		return os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe may have no writer
	}
	if path, err = filepath.Abs(path); err != nil {
		return nil, err
	}
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return nil, err
	}
	return openFor(path, owner.uid, owner.gid)
}

// openFor opens a file or a directory, by an absolute path without links, for a user of one group: if its mode and
// those of the directories above it let the user. It holds each directory while it looks into it and
// follows no link, so that nobody can exchange what it has looked at. Other groups and access lists are not looked
// at: it may refuse too much.
func openFor(path string, uid, gid uint32) (*os.File, error) {
	at, err := os.Open("/")
	if err != nil {
		return nil, err
	}
	names := strings.FieldsFunc(path, func(r rune) bool { return r == filepath.Separator })
	for i, name := range names {
		need := fs.FileMode(maySearch)
		if i == len(names)-1 {
			need = mayRead
		}
		next, err := openIn(at, name, func(st *unix.Stat_t) bool { return permits(st, uid, gid, need) })
		if err = errors.Join(err, at.Close()); err != nil {
			return nil, &fs.PathError{Op: "open", Path: path, Err: err}
		}
		at = next
	}
	return at, nil
}

// Bits of a mode, for others.
const (
	maySearch = 1
	mayRead   = 4
)

// permits says whether a mode allows a user of one group what is needed.
func permits(st *unix.Stat_t, uid, gid uint32, need fs.FileMode) bool {
	bits := fs.FileMode(st.Mode)
	switch {
	case st.Uid == uid:
		bits >>= 6
	case st.Gid == gid:
		bits >>= 3
	}
	return bits&need != 0
}

// openIn opens a file or a directory that lies in another, if it is permitted. Nothing else is opened: that
// may have effects.
func openIn(dir *os.File, name string, permitted func(*unix.Stat_t) bool) (*os.File, error) {
	var seen, opened unix.Stat_t
	if err := unix.Fstatat(int(dir.Fd()), name, &seen, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return nil, err
	}
	switch kind := seen.Mode & unix.S_IFMT; {
	case kind == unix.S_IFLNK:
		return nil, errExchanged
	case !permitted(&seen):
		return nil, errNotServers
	case kind != unix.S_IFREG && kind != unix.S_IFDIR:
		return nil, errNotRegular
	}
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	err = unix.Fstat(fd, &opened)
	if err == nil && (opened.Dev != seen.Dev || opened.Ino != seen.Ino || !permitted(&opened)) {
		err = errExchanged
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
