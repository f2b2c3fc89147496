package durable

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// errNotDir is what a component that should be a directory gives.
var errNotDir error = unix.ENOTDIR

// Who looks whether a lock is held takes it for a moment; whoever wants it tries again
// before believing that it is held.
const (
	lockTries = 10
	lockPause = 5 * time.Millisecond
)

// Lock is a flock on a file: it dies with the process that holds it.
type Lock struct{ f *os.File }

// TryLock takes the lock on the file at path, which it creates when it is not
// there, and writes content into it. When another process (or another Lock of this
// one) holds it, it gives nil and the holder's content, after 50 ms. A file system
// that is full is no obstacle: the lock then has no content.
func TryLock(path string, mode fs.FileMode, content string) (l *Lock, holder string, err error) {
	for try := 0; ; {
		l, holder, replaced, err := lockPath(path, mode, content)
		if l != nil || err != nil {
			return l, "", err
		}
		if replaced {
			continue
		}
		if try++; try == lockTries {
			return nil, holder, nil
		}
		time.Sleep(lockPause)
	}
}

// lockPath tries once. replaced says that the lock was on a file that has lost its name meanwhile.
func lockPath(path string, mode fs.FileMode, content string) (l *Lock, holder string, replaced bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, mode)
	if err != nil {
		return nil, "", false, err
	}
	defer func() {
		if l == nil {
			err = errors.Join(err, f.Close())
		}
	}()
	held, err := tryLock(f, unix.LOCK_EX)
	if err != nil {
		return nil, "", false, err
	}
	if !held {
		return nil, lockContent(f), false, nil
	}
	named, err := hasName(f, path)
	if err != nil || !named {
		return nil, "", !named, err
	}
	if foreign, err := unshared(f, path); err != nil || foreign {
		return nil, "", foreign, err
	}
	if err := errors.Join(f.Chmod(mode), f.Truncate(0)); err != nil {
		return nil, "", false, err
	}
	if _, err := f.WriteAt([]byte(content), 0); err != nil &&
		!errors.Is(err, unix.ENOSPC) && !errors.Is(err, unix.EDQUOT) {
		return nil, "", false, err
	}
	return &Lock{f: f}, "", false, nil
}

// unshared removes the name of a lock's file that has another one: what is written here would be written there. Who
// owns the directory may have linked a file to it that only this process may write.
func unshared(f *os.File, path string) (removed bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &st); err != nil {
		return false, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		return false, &os.PathError{Op: "lock", Path: path, Err: errors.New("not a regular file")}
	case st.Nlink > 1:
		return true, os.Remove(path)
	}
	return false, nil
}

// lockContent reads what the holder has written; one that cannot be read is an unnamed one.
func lockContent(f *os.File) string {
	b := make([]byte, 1024)
	n, _ := f.ReadAt(b, 0) // io.EOF is expected
	return string(b[:n])
}

// hasName says whether the file at path is f. Locks are removed by who holds them, so that a lock on a
// file without its name is worth nothing: the next one locks another file.
func hasName(f *os.File, path string) (bool, error) {
	mine, err := f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && os.SameFile(mine, there), err
}

// Unlock removes the file and gives the lock up, in this order: see hasName.
func (l *Lock) Unlock() error {
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	err := os.Remove(f.Name())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, f.Close())
}

// Release gives the lock up and leaves the file, as a holder who dies does.
func (l *Lock) Release() error {
	if l.f == nil {
		return nil
	}
	f := l.f
	l.f = nil
	return f.Close()
}

// LockHolder says whether somebody holds the lock on the file at path, and what he wrote into it.
// The file of one who died is removed, if this process may.
func LockHolder(path string) (holder string, held bool, err error) {
	for try := 0; ; try++ {
		holder, held, err = lookAtLock(path)
		if err != nil || !held || try == lockTries {
			break
		}
		if try == 0 && holder != "" {
			try = lockTries - 3 // not one that is just being taken
		}
		time.Sleep(lockPause)
	}
	if err != nil || held {
		return holder, held, err
	}
	_, _ = removeLock(path) // who may only read the repository may look at its locks as well
	return "", false, nil
}

// lookAtLock tries whether the lock can be had, which it can be by many lookers at a time.
func lookAtLock(path string) (holder string, held bool, err error) {
	// A lock is no link, as for lockPath; to open what is no file either must not take for ever.
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	free, err := tryLock(f, unix.LOCK_SH)
	if err != nil || free {
		return "", false, err
	}
	return lockContent(f), true, nil
}

// removeLock removes the file of a lock that nobody holds.
func removeLock(path string) (removed bool, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	free, err := tryLock(f, unix.LOCK_EX)
	if err != nil || !free {
		return false, err
	}
	if named, err := hasName(f, path); err != nil || !named {
		return false, err
	}
	return true, os.Remove(path)
}

// tryLock takes a flock, or says that somebody has it.
func tryLock(f *os.File, how int) (bool, error) {
	err := flock(f, how|unix.LOCK_NB)
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

// TakeDeadLock takes a lock whose holder has died and gives what he wrote into it. It gives nil where there is no
// such file, where somebody holds the lock, or is just about to: then the file is still empty.
func TakeDeadLock(path string) (l *Lock, content string, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NOFOLLOW, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", nil
	}
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if l == nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if free, err := tryLock(f, unix.LOCK_EX); err != nil || !free {
		return nil, "", err
	}
	if named, err := hasName(f, path); err != nil || !named {
		return nil, "", err
	}
	if content = lockContent(f); content == "" {
		return nil, "", nil
	}
	return &Lock{f: f}, content, nil
}
