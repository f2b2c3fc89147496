package drill

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// scratch is where a drill takes place. Its names:
const (
	dataName       = "data"
	spacesName     = "tablespaces"
	configName     = "postgresql.conf"
	accessName     = "pg_hba.conf"
	identName      = "pg_ident.conf"
	logName        = "server.log"
	maxSocketDir   = 90 // leaves room for "/.s.PGSQL.5432.lock" in a socket's name (UNIXSOCK_PATH_BUFLEN is 108)
	tempDirPattern = "pgincr-drill-"
)

type scratch struct {
	dir     string
	made    bool   // by this drill: it goes with what is in it
	sockets string // another directory, where dir has too long a name for sockets
}

// newScratch makes the directory, or takes an empty one.
func newScratch(dir string) (s *scratch, err error) {
	if dir == "" {
		dir, err = os.MkdirTemp("", tempDirPattern)
		s = &scratch{dir: dir, made: true}
	} else {
		s, err = namedScratch(dir)
	}
	if err != nil {
		return nil, err
	}
	// Whoever makes this file has the directory.
	if err := s.write(accessName, "local all all trust\n"); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil, &ScratchError{Dir: s.dir, Found: accessName}
		}
		return nil, errors.Join(err, s.remove())
	}
	if len(s.socketDir()) > maxSocketDir {
		if s.sockets, err = os.MkdirTemp("", tempDirPattern); err == nil && len(s.sockets) > maxSocketDir {
			err = fmt.Errorf("%s: too long a path for a Unix socket; set TMPDIR to a shorter one", s.sockets)
		}
		if err != nil {
			return nil, errors.Join(err, s.remove())
		}
	}
	return s, nil
}

// namedScratch makes the directory that somebody named, or proves that it is empty.
func namedScratch(dir string) (*scratch, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &scratch{dir: abs}
	err = os.Mkdir(abs, 0o700)
	if s.made = err == nil; s.made || !errors.Is(err, fs.ErrExist) {
		return s, err
	}
	found, err := os.ReadDir(abs)
	if err == nil && len(found) > 0 {
		err = &ScratchError{Dir: abs, Found: found[0].Name()}
	}
	return s, err
}

// ScratchError: the scratch directory is not empty, and was left alone.
type ScratchError struct{ Dir, Found string }

func (e *ScratchError) Error() string {
	return fmt.Sprintf("scratch directory %s: not empty: %s is there", e.Dir, e.Found)
}

func (s *scratch) path(name string) string { return filepath.Join(s.dir, name) }

func (s *scratch) data() string { return s.path(dataName) }

// socketDir is where the server has its socket.
func (s *scratch) socketDir() string {
	if s.sockets != "" {
		return s.sockets
	}
	return s.dir
}

// write makes a file; it must not be there.
func (s *scratch) write(name, content string) error {
	f, err := os.OpenFile(s.path(name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	return errors.Join(err, f.Close())
}

// remove removes what is in the directory, and the directory if the drill made it.
func (s *scratch) remove() error {
	var errs []error
	if s.sockets != "" {
		errs = append(errs, os.RemoveAll(s.sockets))
	}
	if s.made {
		return errors.Join(append(errs, os.RemoveAll(s.dir))...)
	}
	found, err := os.ReadDir(s.dir)
	errs = append(errs, err)
	for _, f := range found {
		errs = append(errs, os.RemoveAll(s.path(f.Name())))
	}
	return errors.Join(errs...)
}
