package restore

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// markerName is a file that stands in a data directory while a restore writes
// it: it tells an operator, and a later in-place restore, whose half work this is.
const markerName = "pgincr_restore.json"

// marker is its content.
type marker struct {
	Backup           string    `json:"backup"`
	SystemIdentifier uint64    `json:"system_identifier,string"`
	StartedAt        time.Time `json:"started_at"`
	Message          string    `json:"message"`
	// Places are the directories outside of the data directory that it fills.
	Places []markerPlace `json:"places"`
}

// markerPlace is one of them.
type markerPlace struct {
	Path string `json:"path"` // that stands for it
	Dir  string `json:"directory"`
}

// openMarker puts the marker into a data directory. The lock on it dies with this process
// and keeps a second restore away.
func openMarker(t *tree, target string, m marker) (f *os.File, err error) {
	root := t.roots[""].root
	f, err = root.OpenFile(markerName, os.O_RDWR|os.O_CREATE, t.owner.fileMode)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.Close())
		}
	}()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, &TargetError{Dir: target, Problem: RestoreRunning}
		}
		return nil, fmt.Errorf("%s: flock: %w", filepath.Join(target, markerName), err)
	}
	for _, p := range t.places[1:] {
		m.Places = append(m.Places, markerPlace{p.path, p.dir})
	}
	m.Message = "A restore into this directory has not finished. No server will start on it."
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, err
	}
	if err := f.Truncate(0); err != nil {
		return nil, err
	}
	_, err = f.WriteAt(append(b, '\n'), 0)
	return f, errors.Join(err, f.Sync(), syncDir(t.roots[""]))
}
