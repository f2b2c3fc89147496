package restore

import (
	"fmt"

	"github.com/pgincr/pgincr/pkg/pg"
)

// TargetProblem says what is wrong with a directory that is to be written.
type TargetProblem int

// The problems.
const (
	NotEmpty       TargetProblem = iota + 1 // holds something, and the restore is not in place
	NotDirectory                            // is a file or something else
	NotAbsolute                             // a relative path where only an absolute one has a meaning
	Overlaps                                // lies in another directory of the same restore, or is it
	ServerRunning                           // a server runs on it
	RestoreRunning                          // another restore writes it
	NotData                                 // in place: is not a data directory
	OtherCluster                            // in place: belongs to another cluster
	HalfRestored                            // holds what another restore has left, and this one is not in place
	FileDiffers                             // a file of configuration is there, with other content
	RootAnywhere                            // for configuration: root would write what the backup names, wherever it is
	UnknownSpace                            // -T names a directory that no tablespace of the backup has
)

// TargetError refuses a directory before anything is written.
type TargetError struct {
	Dir     string
	Problem TargetProblem
	Detail  string // what makes it so: the process, the other directory
}

func (e *TargetError) Error() string {
	text := map[TargetProblem]string{
		NotEmpty:       "directory is not empty",
		NotDirectory:   "is not a directory",
		NotAbsolute:    "is not an absolute path",
		Overlaps:       "overlaps with another directory of this restore",
		ServerRunning:  "a server is running on it",
		RestoreRunning: "another restore is writing it",
		NotData:        "is not a data directory",
		OtherCluster:   "belongs to another cluster",
		HalfRestored:   "holds a restore that has not finished",
		FileDiffers:    "is there already, with other content",
		RootAnywhere:   "root does not let a backup say which files of the host are written",
		UnknownSpace:   "no tablespace of the backup is there",
	}[e.Problem]
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	return e.Dir + ": " + text
}

// SpaceError: a file system is too small for what would be written to it.
type SpaceError struct {
	Dir        string // a directory on it
	Need, Have int64  // bytes, or files
	Files      bool   // it is file names that are short, not bytes
}

func (e *SpaceError) Error() string {
	unit := "bytes"
	if e.Files {
		unit = "files"
	}
	return fmt.Sprintf("%s: needs %d %s, the file system has %d free", e.Dir, e.Need, unit, e.Have)
}

// LineError: the archived WAL that a backup needs is not what its server wrote, but another's on the same timeline.
type LineError struct {
	Backup string
	WAL    string // the segment in which the backup ends
}

func (e *LineError) Error() string {
	return fmt.Sprintf("backup %s: WAL up to its end, in %s, is another server's in the archive", e.Backup, e.WAL)
}

// UnarchivedError: an in-place restore would remove WAL that exists nowhere else.
type UnarchivedError struct {
	Dir      string
	Segments []string // sorted
}

func (e *UnarchivedError) Error() string {
	return fmt.Sprintf("%s: pg_wal has %d segments that are not archived, %s to %s, and the restore would remove them",
		e.Dir, len(e.Segments), e.Segments[0], e.Segments[len(e.Segments)-1])
}

// OptionError: an option is malformed or does not fit the others.
type OptionError struct {
	Option string // as TargetOptions and Options call it
	Reason string
}

func (e *OptionError) Error() string { return e.Option + ": " + e.Reason }

// ReachError: the recovery target cannot be reached from this backup.
type ReachError struct {
	Target   string
	Backup   string
	Reason   string
	From, To pg.LSN // what can be reached
}

func (e *ReachError) Error() string {
	return fmt.Sprintf("target %s: cannot be reached from backup %s: %s", e.Target, e.Backup, e.Reason)
}

// UnfinishedError tells what a restore that failed has left behind.
type UnfinishedError struct {
	Dir     string
	Removed bool // what was written is gone again
	Err     error
}

func (e *UnfinishedError) Error() string {
	if e.Removed {
		return fmt.Sprintf("%v; what was written to %s has been removed", e.Err, e.Dir)
	}
	return fmt.Sprintf("%v; %s is incomplete, and no server will start on it", e.Err, e.Dir)
}

func (e *UnfinishedError) Unwrap() error { return e.Err }
