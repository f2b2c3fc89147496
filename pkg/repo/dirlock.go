package repo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/pgincr/pgincr/internal/durable"
)

// Lock takes a flock on the file called name.
func (s *dirStore) Lock(ctx context.Context, name, owner string) (func() error, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, err
	}
	if err := s.mkdirs(ctx, filepath.Dir(path)); err != nil {
		return nil, s.wrapLock(err)
	}
	l, holder, err := durable.TryLock(path, lockMode, owner)
	if err != nil {
		return nil, s.wrapLock(err)
	}
	if l == nil {
		return nil, fmt.Errorf("%s: %w by %s", path, ErrLocked, ownerText(holder))
	}
	if err := s.give(l.Give); err != nil {
		return nil, errors.Join(s.wrapLock(err), l.Unlock())
	}
	var once sync.Once
	return func() (err error) {
		once.Do(func() { err = s.wrap(l.Unlock()) })
		return err
	}, nil
}

// wrapLock is wrap that says of a read-only file system, too, that nothing may be written.
func (s *dirStore) wrapLock(err error) error {
	if errors.Is(err, syscall.EROFS) {
		err = fmt.Errorf("%w (%w)", err, fs.ErrPermission)
	}
	return s.wrap(err)
}

// Locks asks of every file below prefix that is wanted whether somebody holds its lock.
func (s *dirStore) Locks(ctx context.Context, prefix string, want func(name string) bool) ([]LockInfo, error) {
	files, err := s.List(ctx, prefix, true)
	if err != nil {
		return nil, err
	}
	var held []LockInfo
	for _, f := range files {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if want != nil && !want(f.Name) {
			continue
		}
		path, err := s.path(prefix + f.Name)
		if err != nil {
			continue // no lock has such a name
		}
		holder, is, err := durable.LockHolder(path)
		if err != nil {
			return nil, s.wrap(err)
		}
		if is {
			held = append(held, LockInfo{Name: f.Name, Owner: strings.TrimSpace(holder)})
		}
	}
	return held, nil
}

// ownerText makes up for an owner that is not known.
func ownerText(owner string) string {
	if owner = strings.TrimSpace(owner); owner == "" {
		return "a process that left no name"
	}
	return owner
}
