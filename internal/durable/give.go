package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Give gives a file on its way to a user; see giveTo.
func (w *File) Give(uid, gid int) error { return giveTo(w.f, uid, gid) }

// Give gives the file of a lock to a user; see giveTo.
func (l *Lock) Give(uid, gid int) error { return giveTo(l.f, uid, gid) }

// GiveDir gives a directory to a user; see giveTo.
func GiveDir(path string, uid, gid int) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: path, Err: err}
	}
	d := os.NewFile(uintptr(fd), path)
	return errors.Join(giveTo(d, uid, gid), d.Close())
}

// giveTo gives what this process has made to another user. What is another's already, or has a second name somewhere,
// stays as it is: that user may have put it there. So does everything where there are no owners, or root is none.
func giveTo(f *os.File, uid, gid int) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return &os.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&unix.S_IFMT != unix.S_IFDIR && st.Nlink != 1 {
		return nil
	}
	err := f.Chown(uid, gid)
	for _, errno := range []error{unix.EPERM, unix.EINVAL, unix.ENOSYS, unix.EOPNOTSUPP} {
		if errors.Is(err, errno) {
			return nil
		}
	}
	return err
}
