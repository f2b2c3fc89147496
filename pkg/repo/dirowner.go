package repo

import (
	"os"
	"path/filepath"
	"syscall"
)

// give gives what root makes in a repository that is another's to its owner, who could not read it afterwards
// otherwise. path is where it is or will be: it must be in a directory of the owner's, which no link led out of.
func (s *dirStore) give(path string, to func(uid, gid int) error) error {
	if os.Geteuid() != 0 {
		return nil
	}
	uid, gid, err := ownerOf(s.root)
	if err != nil || uid == 0 {
		return err
	}
	if above, _, err := ownerOf(filepath.Dir(path)); err != nil || above != uid {
		return err
	}
	return to(uid, gid)
}

// ownerOf gives the owner of what is at a path.
func ownerOf(path string) (uid, gid int, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, 0, err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(st.Uid), int(st.Gid), nil
	}
	return 0, 0, nil
}
