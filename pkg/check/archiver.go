package check

import (
	"context"
	"fmt"
	"time"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

const archiveRemedy = "the server's log has archive_command's own words; run it by hand as the server's user"

// archiver looks whether WAL really arrives.
func archiver(ctx context.Context, s *server.Server, c *repo.Cluster, o Options) []Finding {
	const name, arrivesName = "archiving", "archive-arrives"
	i := s.Info()
	if !i.Archives() {
		return []Finding{skipped(name, "this server archives nothing"), skipped(arrivesName, "likewise")}
	}
	var arrives Finding
	switched := o.SwitchWAL > 0 && c != nil && !i.InRecovery
	if switched {
		arrives = switchedArrives(ctx, s, c, o)
	}
	a, err := s.Archiver(ctx)
	if err != nil {
		return []Finding{Failed(name, err, ""), skipped(arrivesName, "that cannot be told")}
	}
	if !switched {
		arrives = lastArrived(ctx, c, a)
	}
	arrives.Name = arrivesName
	if a.Archived == "" && switched && arrives.Status == OK { // before 15 the statistics come later
		return []Finding{ok(name, "the first segment has just arrived"), arrives}
	}
	return []Finding{archiving(ctx, s, a, o), arrives}
}

// archiving judges by the archiver's own statistics.
func archiving(ctx context.Context, s *server.Server, a server.Archiver, o Options) Finding {
	const name = "archiving"
	age := a.Now.Sub(a.ArchivedAt)
	f := ok(name, "%s, %s ago", a.Archived, ageText(age))
	switch {
	case a.FailedAt.After(a.ArchivedAt):
		f = bad(Critical, name, archiveRemedy, "fails: %s, %s ago, %d failures in all",
			a.Failed, ageText(a.Now.Sub(a.FailedAt)), a.Failures)
	case a.Archived == "":
		f = bad(Warning, name, "--switch-wal tries it", "nothing was archived since the server's statistics began")
	default:
		behind, err := unarchived(ctx, s, a)
		if err != nil {
			return Failed(name, err, "")
		}
		segment := int64(s.Info().Geometry.WALSegmentSize)
		if o.MaxArchiveAge > 0 && age > o.MaxArchiveAge && behind > 0 {
			f = bad(Warning, name, "set archive_timeout: what is not archived is lost with the server",
				"the last was %s ago, allowed are %s; %s of WAL since", ageText(age), ageText(o.MaxArchiveAge),
				human.Bytes(behind))
			if behind > segment { // a whole segment waits
				f.Status, f.Remedy = Critical, archiveRemedy
			}
		}
		f = f.with("wal_unarchived", float64(behind), "B", 0)
	}
	if a.Archived != "" {
		f = f.with("archive_age", age.Seconds(), "s", o.MaxArchiveAge.Seconds())
	}
	return f.with("archive_failures", float64(a.Failures), "c", 0)
}

// unarchived gives the bytes of WAL behind the newest archived segment.
func unarchived(ctx context.Context, s *server.Server, a server.Archiver) (int64, error) {
	g := s.Info().Geometry
	_, n, err := g.ParseWALFileName(segmentOf(a.Archived))
	if err != nil {
		return 0, nil // a history file: a timeline has just begun
	}
	at, err := s.FlushLSN(ctx)
	if err != nil {
		return 0, err
	}
	return max(0, int64(at)-int64(g.SegmentStart(n+1))), nil
}

// segmentOf gives the segment that a file of the archive belongs to: itself, or what a .backup file describes.
func segmentOf(name string) string {
	const segment = 24
	if len(name) > segment {
		return name[:segment]
	}
	return name
}

// lastArrived looks whether what the server believes to have archived is here.
func lastArrived(ctx context.Context, c *repo.Cluster, a server.Archiver) Finding {
	switch {
	case c == nil:
		return skipped("", "no repository to look into")
	case a.Archived == "":
		return skipped("", "nothing was archived yet")
	}
	return arrived(ctx, c, a.Archived,
		"the server archives elsewhere: make archive_command name this repository and cluster")
}

// arrived looks for a file in the archive.
func arrived(ctx context.Context, c *repo.Cluster, file, remedy string) Finding {
	has, err := c.WAL(repo.Compression{}).Has(ctx, file)
	switch {
	case err != nil:
		return Failed("", err, "")
	case !has:
		return bad(Critical, "", remedy, "%s is not in the repository, although the server says that it is archived", file)
	}
	return ok("", "%s is in the repository", file)
}

// arrivalPause is between two looks for a segment.
const arrivalPause = 200 * time.Millisecond

// switchedArrives ends the segment and waits until it is in the repository.
func switchedArrives(ctx context.Context, s *server.Server, c *repo.Cluster, o Options) Finding {
	name, err := s.SwitchWAL(ctx)
	if err != nil {
		return Failed("", err, fmt.Sprintf("as a superuser: GRANT EXECUTE ON FUNCTION pg_catalog.pg_switch_wal() TO %q",
			s.Info().User))
	}
	begin := o.Clock()
	tick := time.NewTicker(arrivalPause)
	defer tick.Stop()
	archive := c.WAL(repo.Compression{})
	for {
		has, err := archive.Has(ctx, name)
		took := o.Clock().Sub(begin)
		switch {
		case err != nil:
			return Failed("", err, "")
		case has:
			return ok("", "%s arrived in %s", name, took.Round(time.Millisecond)).with("archive_seconds", took.Seconds(), "s", 0)
		case took > o.SwitchWAL:
			return bad(Critical, "", archiveRemedy, "%s did not arrive in %s", name, ageText(o.SwitchWAL))
		}
		select {
		case <-ctx.Done():
			return Failed("", context.Cause(ctx), "")
		case <-tick.C:
		}
	}
}
