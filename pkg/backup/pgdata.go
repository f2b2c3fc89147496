package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pgincr/pgincr/internal/pgcontrol"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/server"
)

// GeometryError: the server's block, segment or WAL segment size is another than that of the repository's
// entry, as after pg_resetwal --wal-segsize.
type GeometryError struct {
	Cluster    string
	Have, Want pg.Geometry // in the repository; of the server
}

func (e *GeometryError) Error() string {
	return fmt.Sprintf("cluster %s: the repository's entry is for blocks of %d bytes and "+
		"WAL segments of %d, the server has %d and %d",
		e.Cluster, e.Have.BlockSize, e.Have.WALSegmentSize, e.Want.BlockSize, e.Want.WALSegmentSize)
}

// ForeignDirectoryError: the data directory is not that of the connected server.
type ForeignDirectoryError struct {
	Dir   string
	Cause string
}

func (e *ForeignDirectoryError) Error() string {
	return fmt.Sprintf("%s: not the data directory of the connected server: %s", e.Dir, e.Cause)
}

// postmasterFile is what postmaster.pid tells (miscadmin.h, LOCK_FILE_LINE_*).
type postmasterFile struct {
	start time.Time // whole seconds
	port  int
}

// parsePostmasterFile reads a postmaster.pid: process, directory, start time in seconds
// of the Unix epoch, port, and more that is of no interest here.
func parsePostmasterFile(b []byte) (postmasterFile, error) {
	lines := strings.SplitN(string(b), "\n", 6)
	if len(lines) < 5 {
		return postmasterFile{}, fmt.Errorf("%d lines, want at least 4", len(lines)-1)
	}
	start, err := strconv.ParseInt(strings.TrimSpace(lines[2]), 10, 64)
	if err != nil {
		return postmasterFile{}, fmt.Errorf("start time %q: not a number", lines[2])
	}
	port, err := strconv.Atoi(strings.TrimSpace(lines[3]))
	if err != nil {
		return postmasterFile{}, fmt.Errorf("port %q: not a number", lines[3])
	}
	return postmasterFile{start: time.Unix(start, 0), port: port}, nil
}

// The postmaster writes its lock file a little before it notes the time that
// pg_postmaster_start_time() tells (PostmasterMain): shared memory is made in between.
const (
	startSkewBefore = 2 * time.Second
	startSkewAfter  = 2 * time.Minute
)

// belongsTo proves that dir is the data directory of the server that gave info. The system
// identifier alone proves nothing: a standby or a clone has the same one.
func belongsTo(dir string, control pg.Control, info server.Info) error {
	foreign := func(format string, args ...any) error {
		return &ForeignDirectoryError{Dir: dir, Cause: fmt.Sprintf(format, args...)}
	}
	if control.SystemIdentifier != info.SystemIdentifier {
		return foreign("its system identifier is %d, the server's is %d",
			control.SystemIdentifier, info.SystemIdentifier)
	}
	b, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if errors.Is(err, fs.ErrNotExist) {
		return foreign("no server runs on it (it has no postmaster.pid)")
	}
	if err != nil {
		return err
	}
	pm, err := parsePostmasterFile(b)
	if err != nil {
		return foreign("postmaster.pid: %v", err)
	}
	if pm.port != info.Port {
		return foreign("the server on it listens on port %d, the connected one on %d",
			pm.port, info.Port)
	}
	if d := info.PostmasterStart.Sub(pm.start); d < -startSkewBefore || d > startSkewAfter {
		return foreign("the server on it started at %s, the connected one at %s",
			pm.start.UTC().Format(time.RFC3339), info.PostmasterStart.UTC().Format(time.RFC3339))
	}
	return nil
}

const controlPath = pgcontrol.Path

// readControl reads global/pg_control and refuses a geometry that backups cannot have.
func readControl(ctx context.Context, dir string) (pg.Control, []byte, error) {
	control, b, err := pgcontrol.Read(ctx, dir)
	if err != nil {
		return pg.Control{}, nil, err
	}
	return control, b, control.Geometry.Verify()
}

// checkMajor compares PG_VERSION with the server's major version.
func checkMajor(dir string, major int) error {
	b, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if err != nil {
		return err
	}
	if v := string(bytes.TrimSpace(b)); v != strconv.Itoa(major) {
		return &ForeignDirectoryError{
			Dir:   dir,
			Cause: fmt.Sprintf("its version is %s, the server's is %d", v, major),
		}
	}
	return nil
}
