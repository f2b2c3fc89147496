package check

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/internal/pgcontrol"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

// ServerNames are the checks of Server, in their order.
func ServerNames() []string {
	return []string{
		"connection", "identity", "archive-mode", "archive-command", "archiving", "archive-arrives",
		"full-page-writes", "hint-bits", "wal-space", "clock",
	}
}

// Server looks at a running server, whose connection shows that the role has its rights. Without an
// entry in the repository, c is nil.
func Server(ctx context.Context, s *server.Server, c *repo.Cluster, o Options) []Finding {
	i := s.Info()
	findings := []Finding{ok("connection", "%s, PostgreSQL %d.%d, role %s with the rights that a backup needs",
		s, i.Major(), i.Version%10000, i.User), identity(i, c)}
	findings = append(findings, archiveMode(ctx, i, c), archiveCommand(i, o))
	findings = append(findings, archiver(ctx, s, c, o)...)
	return append(findings, fullPageWrites(i), hintBits(i), walSpace(ctx, i), clock(ctx, s, o))
}

// identity compares the server with the entry.
func identity(i server.Info, c *repo.Cluster) Finding {
	const name = "identity"
	switch {
	case c == nil:
		return skipped(name, "nothing to compare with")
	case i.SystemIdentifier != c.Info.SystemIdentifier:
		return bad(Critical, name, "name the right server or --cluster, or make an entry with pgincr init",
			"the server is %d, the entry in the repository is of %d", i.SystemIdentifier, c.Info.SystemIdentifier)
	}
	return ok(name, "system identifier %d", i.SystemIdentifier)
}

// archiveMode says whether WAL is archived at all.
func archiveMode(ctx context.Context, i server.Info, c *repo.Cluster) Finding {
	const name = "archive-mode"
	if i.ArchiveMode != "off" {
		if i.InRecovery && i.ArchiveMode == "on" {
			return ok(name, "on; this standby archives nothing, its primary does")
		}
		return ok(name, "%s", i.ArchiveMode)
	}
	const remedy = "archive_mode = on in postgresql.conf, with a restart"
	if c != nil {
		if m, err := c.Backup(ctx, repo.Latest); err == nil && m.WAL.Mode == repo.WALArchived {
			return bad(Critical, name, remedy, "off, but the newest backup relies on archived WAL")
		}
	}
	return bad(Warning, name, remedy, "off: what happens after a backup cannot be recovered")
}

// archiveCommand says whether WAL comes to pgincr.
func archiveCommand(i server.Info, o Options) Finding {
	const name = "archive-command"
	remedy := "archive_command = '" + strings.ReplaceAll(o.ArchiveCommand, "'", "''") + "', with a reload"
	switch {
	case i.ArchiveMode == "off":
		return skipped(name, "archive_mode is off")
	case i.ArchiveLibrary != "":
		return bad(Warning, name, "leave archive_library empty; "+remedy,
			"archive_library is %s: what it archives is not here", i.ArchiveLibrary)
	case i.ArchiveCommand == "":
		return bad(Critical, name, remedy, "empty: WAL piles up in pg_wal")
	case !strings.Contains(i.ArchiveCommand, "archive-push"):
		return bad(Warning, name, remedy, "is not pgincr archive-push: %s", i.ArchiveCommand)
	}
	return ok(name, "%s", i.ArchiveCommand)
}

func fullPageWrites(i server.Info) Finding {
	const name = "full-page-writes"
	if !i.FullPageWrites {
		return bad(Warning, name, "full_page_writes = on, with a reload",
			"off: a crash can tear pages, and no page map is made from its WAL")
	}
	return ok(name, "on")
}

// hintBits is a note: it costs nothing but precision.
func hintBits(i server.Info) Finding {
	const name = "hint-bits"
	switch {
	case i.DataChecksums:
		return ok(name, "data checksums are on: pages are verified as they are backed up")
	case i.WALLogHints:
		return ok(name, "wal_log_hints is on, data checksums are off: damaged pages are not noticed")
	}
	return ok(name, "data checksums and wal_log_hints are off: damaged pages are not noticed, pg_rewind does not work")
}

// Parts of the file system of pg_wal that must be free.
const (
	walSpaceWarning  = 0.10
	walSpaceCritical = 0.03
)

// walSpace looks where the server writes WAL, if that is on this host.
func walSpace(ctx context.Context, i server.Info) Finding {
	const name = "wal-space"
	control, _, err := pgcontrol.Read(ctx, i.DataDirectory)
	switch {
	case err != nil:
		return skipped(name, "the data directory cannot be read from here: %v", err)
	case control.SystemIdentifier != i.SystemIdentifier:
		return skipped(name, "%s on this host is another cluster's", i.DataDirectory)
	}
	free, total, err := freeBytes(filepath.Join(i.DataDirectory, "pg_wal"))
	if err != nil {
		return Failed(name, err, "")
	}
	part := float64(free) / float64(max(total, 1))
	f := ok(name, "%s free, %.0f %%", human.Bytes(free), part*100)
	if part < walSpaceWarning {
		f.Status, f.Remedy = Warning, "make room; see archiving, which keeps WAL there until it has succeeded"
	}
	if part < walSpaceCritical {
		f.Status = Critical
	}
	return f.with("wal_free", float64(free), "B", 0)
}

// Differences between clocks that are told of.
const clockTolerance = 5 * time.Second

// clock compares the server's with this host's: recovery to a time is by the server's.
func clock(ctx context.Context, s *server.Server, o Options) Finding {
	const name = "clock"
	before := o.Clock()
	at, err := s.Now(ctx)
	after := o.Clock()
	if err != nil {
		return Failed(name, err, "")
	}
	var diff time.Duration // as much as is certain
	switch {
	case at.Before(before):
		diff = at.Sub(before)
	case at.After(after):
		diff = at.Sub(after)
	}
	f := ok(name, "the server's is this host's")
	if diff.Abs() > clockTolerance {
		f = bad(Warning, name, "synchronise both hosts (NTP): ids of backups and recovery to a time go by clocks",
			"the server's differs by %s", diff.Round(time.Millisecond))
	}
	return f.with("clock_difference", diff.Seconds(), "s", clockTolerance.Seconds())
}
