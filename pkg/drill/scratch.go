package drill

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/pgincr/pgincr/internal/durable"
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
	dir  string
	made bool // by this drill: it goes with what is in it
	lock *durable.Lock

	sockets     string // another directory, where dir has too long a name for sockets
	socketsLock *durable.Lock
}

// newScratch makes the directory, or takes an empty one. What killed drills have left is removed before.
func newScratch(dir string, log *slog.Logger) (s *scratch, err error) {
	removeLeftovers(log)
	if dir == "" {
		dir, err = os.MkdirTemp("", tempDirPattern)
		s = &scratch{dir: dir, made: true}
	} else {
		s, err = namedScratch(dir, log)
	}
	if err != nil {
		return nil, err
	}
	if s.lock, err = lockPlace(s.dir, s.made); err != nil {
		return nil, err
	}
	if err := s.prepare(); err != nil {
		return nil, errors.Join(err, s.remove())
	}
	return s, nil
}

// prepare makes what there is before anything is restored.
func (s *scratch) prepare() (err error) {
	if err := s.write(accessName, "local all all trust\n"); err != nil {
		return err
	}
	if len(s.dir) <= maxSocketDir {
		return nil
	}
	if s.sockets, err = os.MkdirTemp("", tempDirPattern); err != nil {
		return err
	}
	if s.socketsLock, err = lockPlace(s.sockets, true); err != nil {
		return err
	}
	if len(s.sockets) > maxSocketDir {
		return fmt.Errorf("%s: too long a path for a Unix socket; set TMPDIR to a shorter one", s.sockets)
	}
	return nil
}

// namedScratch makes the directory that somebody named, or proves that it is empty.
func namedScratch(dir string, log *slog.Logger) (*scratch, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	if _, err := removeLeftover(abs, log); err != nil {
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
	var err error
	if s.socketsLock != nil {
		err = empty(s.sockets, s.socketsLock, true)
	}
	return errors.Join(err, empty(s.dir, s.lock, s.made))
}

// leave gives what is in the directory to somebody: no drill removes it.
func (s *scratch) leave() error {
	var err error
	if s.socketsLock != nil {
		err = s.socketsLock.Unlock()
	}
	return errors.Join(err, s.lock.Unlock())
}
