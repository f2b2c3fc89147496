package sftp

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path"
	"time"

	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/repo"
)

// maxReplaced bounds what has a version: only the flags of locks are ever replaced.
const maxReplaced = 64 << 10

// hidden is a name that no object has.
func hidden(name, token string) string { return "." + name + "." + token }

// newToken gives random digits.
func newToken() string {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return fmt.Sprintf("%x", b)
}

// temporary is where an object is written before it gets its name: in the same directory.
func (s *service) temporary(key, token string) string {
	dir, base := path.Split(s.path(key))
	return dir + hidden(base, token)
}

// Put stores a small object.
func (s *service) Put(ctx context.Context, key string, data []byte, o remote.PutOptions) (string, error) {
	err := s.link.do(ctx, func(c *conn) error {
		if o.Replaces != "" {
			return s.replace(c, key, data, o.Replaces)
		}
		temp := s.temporary(key, o.Token)
		if err := s.makeTemporary(c, temp, data); err != nil {
			_ = c.Remove(temp) // hidden in any case; where the disk is full it should not stay
			return err
		}
		return s.publish(c, temp, key)
	})
	return versionOf(data), err
}

// makeTemporary writes a file durably, with the directories that it needs.
func (s *service) makeTemporary(c *conn, temp string, data []byte) error {
	f, err := c.OpenFile(temp, os.O_WRONLY|os.O_CREATE)
	if errors.Is(err, fs.ErrNotExist) {
		if err := s.mkdirs(c, path.Dir(temp)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		f, err = c.OpenFile(temp, os.O_WRONLY|os.O_CREATE)
	}
	if errors.Is(err, fs.ErrNotExist) {
		// Somebody else deleted what was in the directory, and the directory with it.
		err := fmt.Errorf("%s: removed while it was needed", path.Dir(temp))
		return &remote.Error{Repo: s.url, Cause: remote.Unreachable, Err: err} // passes
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Truncate(int64(len(data)))
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// mkdirs makes dir and what is missing above it, durably, but for the root.
func (s *service) mkdirs(c *conn, dir string) error {
	switch info, err := c.Stat(dir); {
	case err == nil && info.IsDir():
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	case dir == s.root, dir == "/":
		return s.verifyRoot(c)
	}
	if err := s.mkdirs(c, path.Dir(dir)); err != nil {
		return err
	}
	if err := c.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		if info, statErr := c.Stat(dir); statErr != nil || !info.IsDir() {
			return err
		}
	}
	return syncDir(c, path.Dir(dir))
}

// publish gives a durable file the object's name, which it must not have yet. The commit point is the
// link, announced after its directory is synced.
func (s *service) publish(c *conn, temp, key string) error {
	final := s.path(key)
	if err := c.Link(temp, final); err != nil {
		info, statErr := c.Stat(final)
		if statErr != nil || info.IsDir() {
			return err
		}
		mine := true
		for round := 0; mine && round < sameRounds; round++ {
			if mine, err = same(c, temp, final, info.ModTime()); err != nil {
				return err
			}
		}
		if !mine {
			_ = c.Remove(temp) // hidden in any case
			return repo.ErrExists
		}
	}
	if err := syncDir(c, path.Dir(final)); err != nil {
		return err
	}
	_ = c.Remove(temp) // a second name, which nobody sees
	return nil
}

// sameRounds is how often two names must look like one file's: others who do the same at the same time may choose the
// same time once, but not each time.
const sameRounds = 4

// same says whether two names may be of one file, as after a link whose answer was lost: what is done to the
// time of one is then seen at the other. final was modified at about before.
func same(c *conn, temp, final string, before time.Time) (bool, error) {
	n, err := rand.Int(rand.Reader, big.NewInt(50))
	if err != nil {
		return false, err
	}
	mark := before.Add(time.Duration(n.Int64()+2) * time.Second)
	if err := c.Chtimes(temp, mark, mark); err != nil {
		return false, err
	}
	info, err := c.Stat(final)
	return err == nil && info.ModTime().Equal(mark), err
}

// replace writes an object anew that has this version. Only its owner does that, so that nothing comes between.
func (s *service) replace(c *conn, key string, data []byte, old string) error {
	found, err := version(c, s.path(key))
	if errors.Is(err, fs.ErrNotExist) || err == nil && found != old {
		return remote.ErrChanged
	}
	if err != nil {
		return err
	}
	f, err := c.OpenFile(s.path(key), os.O_WRONLY)
	if errors.Is(err, fs.ErrNotExist) {
		return remote.ErrChanged
	}
	if err != nil {
		return err
	}
	_, err = f.WriteAt(data, 0)
	if err == nil {
		err = f.Truncate(int64(len(data)))
	}
	return errors.Join(err, f.Close())
}

// syncDir makes the names in a directory durable.
func syncDir(c *conn, dir string) error {
	f, err := c.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
