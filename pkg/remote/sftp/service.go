package sftp

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/repo"
)

// service is one directory of one host.
type service struct {
	url  string
	root string // absolute
	link link
}

// String gives the URL.
func (s *service) String() string { return s.url }

// Limits are none but what is sensible.
func (s *service) Limits() remote.Limits { return remote.Limits{Deletes: 100, Direct: true} }

// path is the file of an object.
func (s *service) path(key string) string { return s.root + "/" + key }

// verifyRoot makes an error of its own of a root that is not there, as when the file system is not mounted.
func (s *service) verifyRoot(c *conn) error {
	info, err := c.Stat(s.root)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return &remote.Error{Repo: s.url, Cause: remote.NoSpace, Err: errors.New("no such directory")}
	case err == nil && !info.IsDir():
		return &remote.Error{Repo: s.url, Cause: remote.NoSpace, Err: errors.New("not a directory")}
	}
	return err
}

// MakeRoot makes the directory, which nobody else may read, and those above it. Nothing else does. One that
// there is stays as it is.
func (s *service) MakeRoot(ctx context.Context) error {
	return s.link.do(ctx, func(c *conn) error {
		if _, err := c.Stat(s.root); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		above, name := path.Split(s.root)
		if err := s.mkdirs(c, path.Clean(above)); err != nil {
			return err
		}
		temp := above + hidden(name, newToken())
		err := c.Mkdir(temp)
		if err == nil {
			err = c.Chmod(temp, 0o700)
		}
		if err == nil {
			err = c.Rename(temp, s.root)
		}
		if err != nil {
			_ = c.RemoveDirectory(temp) // empty and hidden in any case
			return err
		}
		return syncDir(c, above)
	})
}

// Get reads a range.
func (s *service) Get(ctx context.Context, key string, p []byte, off int64) (n int, size int64, err error) {
	err = s.link.do(ctx, func(c *conn) error {
		f, err := c.Open(s.path(key))
		if err != nil {
			return s.missing(c, err)
		}
		defer func() { _ = f.Close() }() // only read from
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if info.IsDir() {
			return repo.ErrNotFound
		}
		size = info.Size()
		n, err = f.ReadAt(p[:max(0, min(int64(len(p)), size-off))], off)
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return err
	})
	return n, size, err
}

// missing turns what is not there into repo.ErrNotFound, if the root is there.
func (s *service) missing(c *conn, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.verifyRoot(c); err != nil {
		return err
	}
	return fmt.Errorf("%w: %w", repo.ErrNotFound, err)
}

// Stat looks at a file. It has no token: see publish.
func (s *service) Stat(ctx context.Context, key string) (o remote.Object, err error) {
	err = s.link.do(ctx, func(c *conn) error {
		info, err := c.Stat(s.path(key))
		if err != nil {
			return s.missing(c, err)
		}
		if info.IsDir() {
			return repo.ErrNotFound
		}
		o = remote.Object{Key: key, Size: info.Size(), Modified: info.ModTime()}
		if o.Size <= maxReplaced {
			o.Version, err = version(c, s.path(key))
		}
		return s.missing(c, err)
	})
	return o, err
}

// List walks directories.
func (s *service) List(ctx context.Context, l remote.List) (page remote.Page, err error) {
	err = s.link.do(ctx, func(c *conn) error {
		page.Objects = nil
		if err := s.verifyRoot(c); err != nil {
			return err
		}
		dir, base := path.Split(l.Prefix)
		return s.walk(ctx, c, dir, base, l.Recursive, &page.Objects)
	})
	return page, err
}

// walk adds what lies in the directory dir ("" or with a slash at its end) under names that begin with base.
func (s *service) walk(ctx context.Context, c *conn, dir, base string, recursive bool, found *[]remote.Object) error {
	entries, err := c.ReadDirContext(ctx, s.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		// A file where the name has a directory: the server only says that it failed.
		if info, statErr := c.Stat(s.path(strings.TrimSuffix(dir, "/"))); statErr == nil && !info.IsDir() {
			return nil
		}
		return err
	}
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || strings.HasPrefix(name, ".") {
			continue
		}
		switch {
		case e.IsDir() && recursive:
			if err := s.walk(ctx, c, dir+name+"/", "", true, found); err != nil {
				return err
			}
		case e.IsDir():
			*found = append(*found, remote.Object{Key: dir + name + "/"})
		case e.Mode().IsRegular():
			*found = append(*found, remote.Object{Key: dir + name, Size: e.Size(), Modified: e.ModTime()})
		}
	}
	return nil
}

// Delete removes files, and the directories that this leaves empty.
func (s *service) Delete(ctx context.Context, keys []string) error {
	return s.link.do(ctx, func(c *conn) error {
		dirs := map[string]bool{}
		for _, key := range keys {
			if err := c.Remove(s.path(key)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			dirs[path.Dir(s.path(key))] = true
		}
		for dir := range dirs {
			for ; len(dir) > len(s.root) && c.RemoveDirectory(dir) == nil; dir = path.Dir(dir) {
			}
			if err := syncDir(c, dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return s.verifyRoot(c)
	})
}

// Now asks the host for its time, by making a file.
func (s *service) Now(ctx context.Context) (now time.Time, err error) {
	err = s.link.do(ctx, func(c *conn) error {
		name := s.path(hidden("clock", newToken()))
		f, err := c.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err == nil {
			now = info.ModTime()
		}
		return errors.Join(err, f.Close(), c.Remove(name))
	})
	return now, err
}

// version tells contents apart.
func version(c *conn, name string) (string, error) {
	f, err := c.Open(name)
	if err != nil {
		return "", err
	}
	data, err := io.ReadAll(io.LimitReader(f, maxReplaced+1))
	_ = f.Close() // only read from
	return versionOf(data), err
}

// versionOf is the version of this content.
func versionOf(data []byte) string { return fmt.Sprintf("%x", sha256.Sum256(data)) }
