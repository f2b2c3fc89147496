package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// places gives each run that writes a data directory a place of its own, in another part of the file system: ext4
// searches long for an inode beside ones that were deleted a moment ago, which cost up to a second of
// CPU here, whatever restores.
type places struct {
	b     *bench
	where string
	made  int
}

// out is where a run writes: below a link, so that it is called the same in all.
func (p *places) out() string { return filepath.Join(p.where, "place", "out") }

// fresh removes what the last run has written and makes the next place.
func (p *places) fresh(context.Context) error {
	all, link := filepath.Join(p.where, "places"), filepath.Join(p.where, "place")
	if err := errors.Join(os.RemoveAll(all), os.RemoveAll(link), os.Mkdir(all, 0o755), apart(all)); err != nil {
		return err
	}
	p.made++
	next := filepath.Join(all, strconv.Itoa(p.made))
	return errors.Join(p.b.directory(next), os.Symlink(next, link))
}

// topDir is FS_TOPDIR_FL: directories in one with this flag are spread over the file system.
const topDir = 0x20000

// apart sets that flag where there is such a thing.
func apart(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, flags|topDir)
	}
	if errors.Is(err, unix.ENOTTY) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EINVAL) {
		err = nil // not ext4
	}
	return errors.Join(err, f.Close())
}
