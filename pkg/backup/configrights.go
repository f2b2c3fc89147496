package backup

import (
	"errors"
	"os"
	"path/filepath"
)

// errNotServers is about a file that the server itself could not read.
var errNotServers = errors.New("the owner of the data directory may not read it")

// verifyServerReads refuses what the server could not read itself, to a process that may read anything: whoever may
// change the server's configuration names the files that it includes, and would have /etc/shadow put into a backup.
func (c *configuration) verifyServerReads(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	owner, err := statPath(c.dataDir, true)
	if err != nil {
		return err
	}
	may, err := mayRead(path, owner.uid, owner.gid)
	if err == nil && !may {
		return errNotServers
	}
	return err
}

// mayRead says whether a user of one group may read a file, by its mode and those of the directories above
// it. Other groups and access lists are not looked at, so that it may say no too often.
func mayRead(path string, uid, gid uint32) (bool, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil || uid == 0 {
		return uid == 0, err
	}
	const read, search = 4, 1
	for need := uint32(read); ; need = search {
		st, err := statPath(path, false)
		if err != nil {
			return false, err
		}
		bits := st.mode
		switch {
		case st.uid == uid:
			bits >>= 6
		case st.gid == gid:
			bits >>= 3
		}
		if bits&need == 0 {
			return false, nil
		}
		above := filepath.Dir(path)
		if above == path {
			return true, nil
		}
		path = above
	}
}
