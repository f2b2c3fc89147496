package restore

import (
	"log/slog"
	"time"
)

// Options is one order for a restore.
type Options struct {
	Target string // the data directory to write
	Jobs   int
	// TablespaceMap moves tablespaces: old directory to new one.
	TablespaceMap map[string]string
	// TablespaceRoot, if set, takes every tablespace that TablespaceMap does not
	// name, each in a directory called by its OID.
	TablespaceRoot string
	// WALDir, if set, is where pg_wal goes; the data directory gets a link to it.
	WALDir string
	// ConfigDir, if set, is where files of configuration from outside the data directory go, each below it at its
	// whole path. None is replaced.
	ConfigDir string
	// RestoreCommand is what postgresql.auto.conf gets as restore_command where WAL comes
	// from the archive. Without it the WAL that the backup needs is copied into pg_wal.
	RestoreCommand string
	// ForeignWAL says that RestoreCommand gets WAL from elsewhere: then what the
	// repository's archive lacks is no reason to refuse.
	ForeignWAL bool
	TargetOptions
	// Databases, if any, are the names of those that are restored; the others become stand-ins.
	Databases       []string
	Standby         bool
	PrimaryConninfo string
	// PreserveArchiveMode leaves archive_mode alone. Otherwise it is switched off
	// when the target is not where the server had its data directory.
	PreserveArchiveMode bool
	// KeepOnFailure leaves what was written when a restore into an empty
	// directory fails. An in-place restore never removes it.
	KeepOnFailure bool
	// IgnoreSpace skips the comparison with the free space, which misjudges
	// file systems that compress.
	IgnoreSpace bool
	Delta       bool
	// DiscardWAL allows an in-place restore to remove WAL that is archived nowhere.
	DiscardWAL bool
	DryRun     bool
	Log        *slog.Logger // may be nil
	Progress   *Progress    // may be nil
	Clock      func() time.Time

	partSize int // bytes of a file that a worker takes at a time; 0: partSize
}

// TargetOptions are PostgreSQL's recovery targets; at most one of the first five is set.
type TargetOptions struct {
	Time, LSN, XID, Name string
	Immediate            bool
	Exclusive            bool
	Timeline             string // recovery_target_timeline; "" leaves the server's default
	Action               string // pause, promote, shutdown
}
