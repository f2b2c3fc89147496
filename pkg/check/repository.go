package check

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"golang.org/x/sys/unix"

	"github.com/pgincr/pgincr/internal/human"
	"github.com/pgincr/pgincr/pkg/keys"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Repository looks at the cluster's entry in the repository.
func Repository(ctx context.Context, c *repo.Cluster, o Options) []Finding {
	findings := []Finding{writable(ctx, c), key(c)}
	all, err := c.Backups(ctx)
	if err != nil {
		findings = append(findings, Failed("backups", err, ""))
		for _, name := range []string{"backup-age", "chain", "corrupt-pages", "wal-gaps", "restorable"} {
			findings = append(findings, skipped(name, "the backups could not be listed"))
		}
		return append(findings, drill(ctx, c, o), (&backups{o: o}).space())
	}
	b := backups{all: all, o: o}
	findings = append(findings, b.whole(), b.age(), b.chain(ctx, c), b.corruptPages())
	findings = append(findings, walOf(ctx, c, all)...)
	return append(findings, drill(ctx, c, o), b.space())
}

// writable takes a lock that nobody else takes, and gives it back.
func writable(ctx context.Context, c *repo.Cluster) Finding {
	const name = "repository"
	unlock, err := c.Lock(ctx, fmt.Sprintf("check-%016x", rand.Uint64())) //nolint:gosec // only so that two names differ
	if err == nil {
		err = unlock()
	}
	if err != nil {
		return bad(Critical, name, "let the user that takes backups and archives WAL write there, and make room",
			"cannot be written to: %v", err)
	}
	return ok(name, "reachable and writable")
}

// key says what the key at hand is good for.
func key(c *repo.Cluster) Finding {
	const name = "key"
	if !c.Encrypted() {
		return ok(name, "not encrypted")
	}
	err := c.VerifyReadsData()
	switch {
	case err == nil:
		return ok(name, "the key at hand reads everything")
	case errors.Is(err, keys.ErrNotPermitted):
		return ok(name, "the key at hand takes backups and reads none: restores need another")
	}
	return Failed(name, err, "")
}

// drill looks at the newest rehearsal of a restore.
func drill(ctx context.Context, c *repo.Cluster, o Options) Finding {
	const name, remedy = "drill", "run pgincr drill, from a timer"
	found, err := c.Drills(ctx, 1)
	switch {
	case err != nil:
		return Failed(name, err, "")
	case len(found) == 0 && o.MaxDrillAge > 0:
		return bad(Critical, name, remedy, "no restore was ever rehearsed")
	case len(found) == 0:
		return skipped(name, "no restore was rehearsed yet; --max-drill-age makes that a demand")
	}
	d := found[0]
	if d.Result == repo.DrillBroken {
		return bad(Critical, name, "run pgincr drill again; nothing else needs that document", "the last cannot be read: %s",
			d.Error)
	}
	age := o.Clock().Sub(d.FinishedAt)
	f := ok(name, "%s ago, backup %s recovered in %s", ageText(age), d.Backup, ageText(seconds(d.RecoverySeconds)))
	switch {
	case d.Result == repo.DrillFailed:
		f = bad(Critical, name, "make the restore work and run pgincr drill again", "%s ago, backup %s: failed: %s",
			ageText(age), d.Backup, d.Error)
	case d.Result == repo.DrillFindings:
		f = bad(Critical, name, "repair the cluster or the script, take a backup and run pgincr drill again",
			"%s ago, backup %s recovered, but %s", ageText(age), d.Backup, d.Findings())
	case o.MaxDrillAge > 0 && age > o.MaxDrillAge:
		f = bad(Critical, name, remedy, "the last was %s ago, allowed are %s", ageText(age), ageText(o.MaxDrillAge))
	}
	return f.with("drill_age", age.Seconds(), "s", o.MaxDrillAge.Seconds()).
		with("drill_recovery", d.RecoverySeconds, "s", 0)
}

// space compares what the repository's file system has with what the next backups need.
func (b *backups) space() Finding {
	const name = "repository-space"
	if b.o.Dir == "" {
		return skipped(name, "not a directory: nothing tells how much fits")
	}
	free, _, err := freeBytes(b.o.Dir)
	if err != nil {
		return Failed(name, err, "")
	}
	var last, full int64
	if m := Newest(b.all); m != nil {
		last = m.StoredBytes
	}
	for _, m := range b.all {
		if m.Status == repo.StatusOK && m.Type == repo.TypeFull {
			full = m.StoredBytes
		}
	}
	f := ok(name, "%s free", human.Bytes(free))
	const remedy = "make room: pgincr expire, a larger file system"
	switch {
	case free < last:
		f = bad(Critical, name, remedy, "%s free, the last backup stored %s", human.Bytes(free), human.Bytes(last))
	case free < full:
		f = bad(Warning, name, remedy, "%s free, the last full backup stored %s", human.Bytes(free), human.Bytes(full))
	}
	return f.with("repository_free", float64(free), "B", 0)
}

// freeBytes asks a file system for what this process may still write, and for its size.
func freeBytes(dir string) (free, total int64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", dir, err)
	}
	block := st.Bsize
	return int64(st.Bavail) * block, int64(st.Blocks) * block, nil
}
