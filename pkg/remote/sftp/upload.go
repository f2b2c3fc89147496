package sftp

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/pkg/sftp"

	"github.com/pgincr/pgincr/pkg/remote"
)

// upload is an object that is written under its temporary name.
type upload struct {
	s         *service
	key, temp string

	mu    sync.Mutex
	file  *sftp.File // of the connection number; guarded by mu, as what follows
	conn  int        // the number of the connection; of the first one at the beginning
	first int
	sums  map[int64]part // by offset
}

// part is what was sent.
type part struct {
	size int
	sum  uint32
}

// Begin makes the file.
func (s *service) Begin(ctx context.Context, key, token string) (remote.Upload, error) {
	u := &upload{s: s, key: key, temp: s.temporary(key, token), sums: map[int64]part{}}
	err := s.link.do(ctx, func(c *conn) error {
		if err := s.makeTemporary(c, u.temp, nil); err != nil {
			return err
		}
		_, err := u.open(c)
		u.first = c.number
		return err
	})
	return u, err
}

// open gives the file, on the connection that there is.
func (u *upload) open(c *conn) (*sftp.File, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.file == nil || u.conn != c.number {
		f, err := c.OpenFile(u.temp, os.O_RDWR)
		if errors.Is(err, fs.ErrNotExist) {
			// Somebody removed it, or the host went down before its name was durable.
			return nil, &remote.Error{Repo: u.s.url, Cause: remote.Refused, Err: fmt.Errorf("%s is gone", u.temp)}
		}
		if err != nil {
			return nil, err
		}
		u.file, u.conn = f, c.number
	}
	return u.file, nil
}

// Part writes it at its place.
func (u *upload) Part(ctx context.Context, _ int, off int64, data []byte) error {
	return u.s.link.do(ctx, func(c *conn) error {
		f, err := u.open(c)
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(data, off); err != nil {
			return err
		}
		u.mu.Lock()
		defer u.mu.Unlock()
		u.sums[off] = part{len(data), crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli))}
		return nil
	})
}

// Complete syncs the file and gives it its name.
func (u *upload) Complete(ctx context.Context, number int, off int64, rest []byte) error {
	if len(rest) > 0 {
		if err := u.Part(ctx, number, off, rest); err != nil {
			return err
		}
	}
	return u.s.link.do(ctx, func(c *conn) error {
		f, err := u.open(c)
		if err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if c.number != u.first {
			if err := u.verify(f); err != nil {
				return err
			}
		}
		if err := u.s.publish(c, u.temp, u.key); err != nil {
			return err
		}
		_ = f.Close() // it is synced and has its name
		return nil
	})
}

// verify reads back what was sent over a connection that broke: the host may have gone down with it.
func (u *upload) verify(f *sftp.File) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for off, p := range u.sums {
		b := make([]byte, p.size)
		if _, err := f.ReadAt(b, off); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)) != p.sum {
			err := fmt.Errorf("%s: what was sent before the connection broke is lost", u.key)
			return &remote.Error{Repo: u.s.url, Cause: remote.Refused, Err: err}
		}
	}
	return nil
}

// Abort removes the file.
func (u *upload) Abort(ctx context.Context) error {
	return u.s.link.do(ctx, func(c *conn) error {
		u.mu.Lock()
		if u.file != nil && u.conn == c.number {
			_ = u.file.Close() // what it holds is not wanted
		}
		u.file = nil
		u.mu.Unlock()
		err := c.Remove(u.temp)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	})
}
