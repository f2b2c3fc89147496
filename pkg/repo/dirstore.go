package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/pgincr/pgincr/internal/durable"
)

// Modes of everything in a repository: who reads it reads the database.
const (
	dirMode  = 0o700
	fileMode = 0o600
	// A lock says nothing of the database, and lies behind dirMode. Root's must be seen to be held by the
	// repository's owner, whose backups would fail otherwise as long as root restores or mounts.
	lockMode = 0o644
)

// dirStore is a Store on a local or mounted directory. An object is a file, its commit point the
// rename from a temporary name in the same directory.
type dirStore struct {
	root string // absolute

	mu   sync.Mutex
	made map[string]bool // directories known to be there, durably; guarded by mu
}

func newDirStore(path string) (*dirStore, error) {
	root, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("repository %s: %w", path, err)
	}
	return &dirStore{root: root, made: map[string]bool{}}, nil
}

// String gives the absolute path.
func (s *dirStore) String() string { return s.root }

// CreateRoot makes the repository's directory. No other method does, so that a file
// system that is not mounted is noticed rather than written around.
func (s *dirStore) CreateRoot(context.Context) error {
	return s.wrap(durable.MkdirAll(s.root, dirMode))
}

// path gives the file of an object.
func (s *dirStore) path(name string) (string, error) {
	if err := VerifyObjectName(name); err != nil {
		return "", err
	}
	return filepath.Join(s.root, filepath.FromSlash(name)), nil
}

// Open opens an object's file.
func (s *dirStore) Open(ctx context.Context, name string) (ObjectReader, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, s.wrap(err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case info.IsDir():
		err = &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	case !info.Mode().IsRegular():
		err = &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	if err != nil {
		return nil, errors.Join(s.wrap(err), f.Close())
	}
	return &dirObject{File: f, store: s, size: info.Size()}, nil
}

// Stat looks at an object's file.
func (s *dirStore) Stat(ctx context.Context, name string) (int64, error) {
	path, err := s.path(name)
	if err != nil {
		return 0, err
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, s.wrap(err)
	}
	if info.IsDir() {
		return 0, &fs.PathError{Op: "stat", Path: path, Err: fs.ErrNotExist}
	}
	return info.Size(), nil
}

// Delete unlinks the files and the directories that this leaves empty, and syncs what remains.
func (s *dirStore) Delete(ctx context.Context, names ...string) error {
	dirs := map[string]bool{}
	for _, name := range names {
		path, err := s.path(name)
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s.wrap(err)
		}
		dirs[filepath.Dir(path)] = true
	}
	for dir := range dirs {
		if err := s.prune(dir); err != nil {
			return s.wrap(err)
		}
	}
	return s.checkRoot()
}

// prune removes dir and those above it, up to the root, as long as they are empty, and
// syncs the last one left.
func (s *dirStore) prune(dir string) error {
	for ; dir != s.root; dir = filepath.Dir(dir) {
		s.forget(dir)
		err := os.Remove(dir)
		if errors.Is(err, syscall.ENOTEMPTY) || errors.Is(err, fs.ErrExist) {
			break
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := durable.SyncDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another process pruned further
	}
	return err
}

// mkdirs makes dir and what is missing between the root and it.
func (s *dirStore) mkdirs(ctx context.Context, dir string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	made := s.made[dir]
	s.mu.Unlock()
	if made || dir == s.root {
		return nil
	}
	if err := s.mkdirs(ctx, filepath.Dir(dir)); err != nil {
		return err
	}
	_, missing := os.Lstat(dir)
	if err := durable.Mkdir(dir, dirMode); err != nil {
		return err
	}
	if errors.Is(missing, fs.ErrNotExist) {
		err := s.give(func(root string) error { return durable.GiveDir(root, dir) })
		if err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made[dir] = true
	return nil
}

// forget drops dir and what is below it from the known directories.
func (s *dirStore) forget(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := range s.made {
		if d == dir || strings.HasPrefix(d, dir+string(filepath.Separator)) {
			delete(s.made, d)
		}
	}
}

// checkRoot fails with ErrUnreachable when the repository's directory is not there.
func (s *dirStore) checkRoot() error {
	info, err := os.Stat(s.root)
	if err == nil && !info.IsDir() {
		err = &fs.PathError{Op: "open", Path: s.root, Err: syscall.ENOTDIR}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, hideNotExist(err))
	}
	return nil
}

// wrap makes ErrUnreachable of what says that the medium, not the object, is the trouble. A
// name that is not there means little where the repository itself is not there.
func (s *dirStore) wrap(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, ErrUnreachable):
		return err
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		if rootErr := s.checkRoot(); rootErr != nil {
			return rootErr
		}
		if errors.Is(err, syscall.ENOTDIR) { // an object where the name has a directory
			return fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return err
	}
	for _, errno := range []syscall.Errno{
		syscall.EACCES, syscall.EPERM, syscall.EIO, syscall.EROFS, syscall.ESTALE,
		syscall.ENOTCONN, syscall.EHOSTDOWN, syscall.EHOSTUNREACH, syscall.ETIMEDOUT, syscall.ENXIO, syscall.ENODEV,
		syscall.ELOOP,
	} {
		if errors.Is(err, errno) {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
	}
	return err
}

// hideNotExist keeps the text of an error that must not be taken for ErrNotFound.
func hideNotExist(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errors.New(err.Error())
	}
	return err
}
