package backup

import (
	"context"
	"log/slog"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

// Options is one order for a backup.
type Options struct {
	DataDir         string
	Incremental     bool
	Parent          string // "", "latest", "latest-full" or an id
	PageMap         string // auto, wal, summaries, lsn, hash, cross
	FastCheckpoint  bool
	Jobs            int
	Compression     repo.Compression
	WAL             string // auto, archive, stream
	VerifyChecksums string // copied, all, off
	NoTrustMtime    bool
	RateLimit       int64 // bytes per second read from the data directory; 0: none
	Annotations     map[string]string
	Version         string        // of pgincr
	ArchiveTimeout  time.Duration // how long to wait for the archive to hold the backup's WAL
	Log             *slog.Logger
	Progress        *Progress // may be nil
	Clock           func() time.Time
}

// Progress is updated while a backup runs and may be read at any time.
type Progress struct{ _ int }

// Snapshot gives the counters: a phase name, bytes done and the total known so far.
func (p *Progress) Snapshot() (phase string, done, total int64) { panic("stub") }

// Run takes a backup of the cluster whose session is s and commits it to c.
// The commit point is the appearance of the manifest. After any failure, or
// when ctx is cancelled, backup mode is ended and what was written is removed.
// Corrupt pages do not fail it: they are in the manifest.
func Run(ctx context.Context, s *server.Server, c *repo.Cluster, o Options) (*repo.Manifest, error) {
	panic("stub")
}
