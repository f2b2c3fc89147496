package restore

import (
	"errors"
	"io/fs"
	"os"

	"github.com/pgincr/pgincr/pkg/repo"
)

// owner is how files and directories that no index entry describes are owned
// and protected: as the server has its own (data_directory_mode).
type owner struct {
	uid, gid int
	dirMode  fs.FileMode
	fileMode fs.FileMode
	known    bool // an entry told; otherwise these are the defaults
}

// defaultOwner is this process with the modes that initdb gives.
func defaultOwner() owner {
	return owner{uid: os.Geteuid(), gid: os.Getegid(), dirMode: 0o700, fileMode: 0o600}
}

// learn takes the answer from the entry of the data directory itself or, in its
// absence, of a directory that always has the same mode.
func (o *owner) learn(f *repo.File) {
	switch {
	case f.Kind != repo.KindDir, o.known:
		return
	case f.Path != rootPath && f.Path != "global" && f.Path != "base":
		return
	}
	// The server knows two modes and starts from no other (checkDataDir, miscinit.c).
	o.dirMode, o.fileMode = 0o700, 0o600
	if f.Mode&0o050 == 0o050 {
		o.dirMode, o.fileMode = 0o750, 0o640
	}
	o.uid, o.gid, o.known = int(f.UID), int(f.GID), true
}

// privileged says whether this process may give files away.
func privileged() bool { return os.Geteuid() == 0 }

// setOwner gives an entry of d its owner and mode. A directory made by mkdir and
// a file made by open have at most these bits, whatever the umask took.
func setOwner(d *dir, name string, uid, gid int, mode fs.FileMode, chown bool) error {
	var err error
	if chown {
		err = d.root.Lchown(name, uid, gid)
	}
	return errors.Join(err, d.root.Chmod(name, mode))
}
