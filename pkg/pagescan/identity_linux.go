package pagescan

import (
	"os"

	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/pkg/repo"
)

// Identify describes f. Where the file system does not keep birth times, BirthTime is 0.
func Identify(f *os.File) (Written, error) {
	return statx(int(f.Fd()), "", unix.AT_EMPTY_PATH, f.Name())
}

// IdentifyPath is Identify for a path. A symbolic link is not followed.
func IdentifyPath(path string) (Written, error) {
	return statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, path)
}

func statx(fd int, path string, flags int, name string) (Written, error) {
	var st unix.Statx_t
	// Network file systems must ask their server: an old answer would make
	// a changed file look unchanged.
	err := unix.Statx(fd, path, flags|unix.AT_STATX_FORCE_SYNC, unix.STATX_BASIC_STATS|unix.STATX_BTIME, &st)
	if err != nil {
		return Written{}, &os.PathError{Op: "statx", Path: name, Err: err}
	}
	id := repo.Identity{
		Device:     unix.Mkdev(st.Dev_major, st.Dev_minor),
		Inode:      st.Ino,
		ChangeTime: nanoseconds(st.Ctime),
		ModTime:    nanoseconds(st.Mtime),
	}
	if st.Mask&unix.STATX_BTIME != 0 {
		id.BirthTime = nanoseconds(st.Btime)
	}
	return Written{Identity: id, Size: int64(st.Size)}, nil
}

func nanoseconds(t unix.StatxTimestamp) int64 { return t.Sec*1e9 + int64(t.Nsec) }
