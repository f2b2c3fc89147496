package drill

import (
	"cmp"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/pgincr/pgincr/pkg/restore"
)

// Modes of the amcheck check.
const (
	AmcheckAuto = "auto" // where it can be done
	AmcheckOn   = "on"   // the drill has findings where it cannot
	AmcheckOff  = "off"
)

// Options is one order for a drill.
type Options struct {
	Bindir string // of postgres and psql, of the backup's major version, and of pg_amcheck
	// Scratch is the directory to use: an empty one, which stays, or one to be made. "": a new one
	// where the system has its temporary files.
	Scratch string
	Keep    bool // leave everything but the running server
	Jobs    int
	// RestoreCommand is how the server gets WAL; it runs as this process does.
	RestoreCommand string
	Target         restore.TargetOptions // Action is not used: the server is always promoted
	IgnoreSpace    bool
	Timeout        time.Duration     // of recovery, from the start of the server; 0: none
	Settings       []restore.Setting // of the server, after those of the drill
	Role           string            // to connect as, which must be there; "": found out
	Amcheck        string
	HeapAllIndexed bool      // pg_amcheck also looks whether every row is in every index
	SQL            io.Reader // a script for psql; nil: none
	SQLCommand     string    // another one; ""
	Database       string    // of the scripts; "": postgres
	Output         io.Writer // what the checks print; nil: nowhere
	Environment    []string  // of all processes
	Unrecorded     bool      // leave no result in the repository
	Log            *slog.Logger
	Progress       *restore.Progress
	Clock          func() time.Time
	Version        string // of pgincr
}

// setDefaults fills what the caller left out.
func (o *Options) setDefaults() {
	o.Jobs = cmp.Or(o.Jobs, runtime.GOMAXPROCS(0))
	o.Database = cmp.Or(o.Database, "postgres")
	o.Amcheck = cmp.Or(o.Amcheck, AmcheckAuto)
	if o.Output == nil {
		o.Output = io.Discard
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Clock == nil {
		o.Clock = time.Now //nolint:forbidigo // the clock of callers that give none
	}
	if o.Target.XID+o.Target.Time+o.Target.Name+o.Target.LSN != "" || o.Target.Immediate {
		o.Target.Action = "promote" // a pause would last forever
	}
}

// verify refuses what cannot be done before anything is written.
func (o *Options) verify() error {
	if os.Geteuid() == 0 {
		return errors.New("drill: PostgreSQL refuses to run as root")
	}
	for _, name := range []string{"postgres", "psql"} {
		if _, err := os.Stat(o.program(name)); err != nil {
			return err
		}
	}
	if o.Amcheck == AmcheckOn {
		if _, err := os.Stat(o.program("pg_amcheck")); err != nil {
			return err
		}
	}
	return nil
}

// program is the path of one of PostgreSQL's programs.
func (o *Options) program(name string) string { return filepath.Join(o.Bindir, name) }
