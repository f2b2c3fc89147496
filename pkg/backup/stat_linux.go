package backup

import (
	"io/fs"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/pkg/repo"
)

// statPath looks at name; with follow it looks at what a link leads to.
func statPath(name string, follow bool) (stat, error) {
	// Network file systems must ask their server: old times would make a changed
	// file look unchanged.
	flags := unix.AT_STATX_FORCE_SYNC
	if !follow {
		flags |= unix.AT_SYMLINK_NOFOLLOW
	}
	var sx unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, name, flags, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &sx)
	if err != nil {
		return stat{}, &fs.PathError{Op: "statx", Path: name, Err: err}
	}
	nanos := func(t unix.StatxTimestamp) int64 { return t.Sec*int64(time.Second) + int64(t.Nsec) }
	s := stat{
		kind: typeBits(sx.Mode), mode: uint32(sx.Mode & 0o7777), uid: sx.Uid, gid: sx.Gid,
		size: int64(sx.Size), sparse: sx.Blocks*512 < sx.Size,
		mtime: time.Unix(sx.Mtime.Sec, int64(sx.Mtime.Nsec)),
		identity: repo.Identity{
			Device: unix.Mkdev(sx.Dev_major, sx.Dev_minor), Inode: sx.Ino,
			ChangeTime: nanos(sx.Ctime), ModTime: nanos(sx.Mtime),
		},
	}
	if sx.Mask&unix.STATX_BTIME != 0 {
		s.identity.BirthTime = nanos(sx.Btime)
	}
	return s, nil
}

func typeBits(mode uint16) fs.FileMode {
	switch mode & unix.S_IFMT {
	case unix.S_IFREG:
		return 0
	case unix.S_IFDIR:
		return fs.ModeDir
	case unix.S_IFLNK:
		return fs.ModeSymlink
	}
	return fs.ModeIrregular
}
