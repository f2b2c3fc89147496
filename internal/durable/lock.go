package durable

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// errNotDir is what a component that should be a directory gives.
var errNotDir error = unix.ENOTDIR

// Lock is a flock on a file: it dies with the process that holds it.
type Lock struct{ f *os.File }

// TryLock takes the lock on the file at path, which it creates when it is not
// there, and writes content into it. When another process (or another Lock of this
// one) holds it, it gives nil and the holder's content.
func TryLock(path string, mode fs.FileMode, content string) (l *Lock, holder string, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, mode)
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if l == nil {
			err = errors.Join(err, f.Close())
		}
	}()
	held, err := tryLock(f)
	if err != nil {
		return nil, "", err
	}
	if !held {
		b := make([]byte, 1024)
		n, _ := f.ReadAt(b, 0) // io.EOF is expected; a holder that cannot be read is an unnamed one
		return nil, string(b[:n]), nil
	}
	if err := errors.Join(f.Chmod(mode), f.Truncate(0)); err != nil {
		return nil, "", err
	}
	if _, err := f.WriteAt([]byte(content), 0); err != nil {
		return nil, "", err
	}
	return &Lock{f: f}, "", nil
}

// Unlock gives the lock up. The file stays: removing it would let two processes hold
// locks on two files of one name.
func (l *Lock) Unlock() error {
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	return errors.Join(f.Truncate(0), f.Close())
}

// tryLock takes an exclusive flock, or says that somebody has it.
func tryLock(f *os.File) (bool, error) {
	err := flock(f, unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return false, nil
	}
	return err == nil, err
}

// lockTemp locks a temporary file that was just created. It is false when RemoveDead took
// the file first. A file system without locks is no obstacle: RemoveDead then leaves the
// file alone.
func lockTemp(f *os.File) (live bool, err error) {
	if err := flock(f, unix.LOCK_EX); err != nil {
		if errors.Is(err, unix.ENOLCK) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
			return true, nil
		}
		return false, err
	}
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false, &fs.PathError{Op: "stat", Path: f.Name(), Err: err}
	}
	return st.Nlink > 0, nil
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
	}
}
