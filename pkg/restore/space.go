package restore

import (
	"errors"
	"io/fs"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// spareBytes is left free on each file system for directories, block lists and
// what the server writes when it starts.
const spareBytes = 16 << 20

// measureSpace compares what each file system is asked for with what it has.
func (p *plan) measureSpace() error {
	var spaces []Space
	byDevice := map[uint64]int{}
	for _, pl := range p.layout.places() {
		dir, dev, err := nearest(pl.dir)
		if err != nil {
			return err
		}
		i, known := byDevice[dev]
		if !known {
			s, err := freeSpace(dir)
			if err != nil {
				return err
			}
			i = len(spaces)
			byDevice[dev] = i
			spaces = append(spaces, s)
		}
		u := p.usage[pl.path]
		spaces[i].Dirs = append(spaces[i].Dirs, pl.dir)
		spaces[i].NeedBytes += u.bytes
		spaces[i].NeedFiles += u.files
	}
	for i := range spaces {
		spaces[i].NeedBytes += spareBytes
	}
	p.Space = spaces
	return nil
}

// verifySpace refuses a file system that is too small.
func (p *plan) verifySpace() error {
	for _, s := range p.Space {
		if s.NeedBytes > s.HaveBytes {
			return &SpaceError{Dir: s.Dirs[0], Need: s.NeedBytes, Have: s.HaveBytes}
		}
		if s.HaveFiles >= 0 && s.NeedFiles > s.HaveFiles {
			return &SpaceError{Dir: s.Dirs[0], Need: s.NeedFiles, Have: s.HaveFiles, Files: true}
		}
	}
	return nil
}

// nearest gives the directory itself or the one above it that exists, and its device.
func nearest(dir string) (string, uint64, error) {
	for {
		var st unix.Stat_t
		err := unix.Stat(dir, &st)
		if err == nil {
			return dir, st.Dev, nil
		}
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return "", 0, &fs.PathError{Op: "stat", Path: dir, Err: err}
		}
		dir = filepath.Dir(dir)
	}
}

// freeSpace asks a file system for what this process may use, which does not count
// the reserve that some keep for root: the server cannot have it either.
func freeSpace(dir string) (Space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return Space{}, &fs.PathError{Op: "statfs", Path: dir, Err: err}
	}
	s := Space{HaveBytes: int64(st.Bavail) * st.Bsize, HaveFiles: int64(st.Ffree)}
	if st.Files == 0 { // file systems without a table of files
		s.HaveFiles = -1
	}
	return s, nil
}
