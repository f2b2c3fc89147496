package restore

import (
	"context"
	"log/slog"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
)

// Options is one order for a restore.
type Options struct {
	Target string // the data directory to write
	Jobs   int
	// TablespaceMap moves tablespaces: old directory to new one.
	TablespaceMap map[string]string
	// RestoreCommand is what postgresql.auto.conf gets as restore_command where WAL comes from the archive.
	RestoreCommand string
	TargetOptions
	Standby         bool
	PrimaryConninfo string
	Delta           bool
	DryRun          bool
	Log             *slog.Logger
	Progress        *Progress
	Clock           func() time.Time
}

// TargetOptions are PostgreSQL's recovery targets; at most one of the first five is set.
type TargetOptions struct {
	Time, LSN, XID, Name string
	Immediate            bool
	Exclusive            bool
	Timeline             string // recovery_target_timeline; "" leaves the server's default
	Action               string // pause, promote, shutdown
}

// Progress is updated while a restore runs and may be read at any time.
type Progress struct{ _ int }

// Snapshot gives the counters.
func (p *Progress) Snapshot() (phase string, done, total int64) { panic("stub") }

// Result is what restore --json prints.
type Result struct {
	Backup       string   `json:"backup"`
	Chain        []string `json:"chain"` // full first
	Target       string   `json:"target"`
	FilesWritten int64    `json:"files_written"`
	BytesRead    int64    `json:"bytes_read"`
	BytesWritten int64    `json:"bytes_written"`
	BytesSkipped int64    `json:"bytes_skipped"` // zero pages left as holes, pages that were right already
	Phases       []Phase  `json:"phases"`
	Warnings     []string `json:"warnings"`
}

// Phase is one step with its duration.
type Phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
}

// Run restores the chain that ends in m. The commit point is global/pg_control, written and synced
// last: before that the directory does not start.
func Run(ctx context.Context, c *repo.Cluster, m *repo.Manifest, o Options) (*Result, error) {
	panic("stub")
}
