package repo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/pgincr/pgincr/internal/durable"
)

// List walks the directory of a prefix. Temporary files are no objects; those whose
// writers are certainly gone are removed on the way, since this is where they are met.
func (s *dirStore) List(ctx context.Context, prefix string, recursive bool) ([]ObjectInfo, error) {
	if prefix != "" && (!strings.HasSuffix(prefix, "/") || VerifyObjectName(strings.TrimSuffix(prefix, "/")) != nil) {
		return nil, fmt.Errorf("list %q: not a prefix", prefix)
	}
	if err := s.checkRoot(); err != nil {
		return nil, err
	}
	l := lister{store: s, recursive: recursive}
	if err := l.walk(ctx, filepath.Join(s.root, filepath.FromSlash(prefix)), ""); err != nil {
		return nil, s.wrap(err)
	}
	slices.SortFunc(l.found, func(a, b ObjectInfo) int { return cmp.Compare(a.Name, b.Name) })
	return l.found, nil
}

// lister is one walk.
type lister struct {
	store     *dirStore
	recursive bool
	found     []ObjectInfo
}

// walk adds what dir holds; rel is its name relative to the prefix, with a slash at the end
// unless empty.
func (l *lister) walk(ctx context.Context, dir, rel string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
		return nil // nothing there, or pruned meanwhile
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := l.add(ctx, dir, rel, e); err != nil {
			return err
		}
	}
	return nil
}

func (l *lister) add(ctx context.Context, dir, rel string, e fs.DirEntry) error {
	path := filepath.Join(dir, e.Name())
	if durable.IsTemp(e.Name()) {
		// Whoever may only read the repository may list it as well.
		_, err := durable.RemoveDead(path)
		if err != nil && ctx.Err() != nil {
			return ctx.Err()
		}
		return nil
	}
	if strings.HasPrefix(e.Name(), ".") {
		return nil // .snapshot, .nfs…: the file system's
	}
	info, err := os.Stat(path) // follows links that an administrator made
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case info.IsDir() && l.recursive:
		return l.walk(ctx, path, rel+e.Name()+"/")
	case info.IsDir():
		l.found = append(l.found, ObjectInfo{Name: rel + e.Name() + "/"})
	case info.Mode().IsRegular():
		l.found = append(l.found, ObjectInfo{Name: rel + e.Name(), Size: info.Size()})
	}
	return nil
}
