package check

import (
	"context"
	"time"

	"github.com/pgincr/pgincr/pkg/repo"
)

// backups is what the checks of backups look at, oldest first as Cluster.Backups lists them.
type backups struct {
	all []*repo.Manifest
	o   Options
}

// Newest gives the backup that ended last, of those that can be read; nil if there is none.
func Newest(all []*repo.Manifest) *repo.Manifest {
	var last *repo.Manifest
	for _, m := range all {
		if m.Status == repo.StatusOK && (last == nil || m.FinishedAt.After(last.FinishedAt)) {
			last = m
		}
	}
	return last
}

// whole says how many there are, and whether all can be read.
func (b *backups) whole() Finding {
	const name = "backups"
	var broken []string
	for _, m := range b.all {
		if m.Status != repo.StatusOK {
			broken = append(broken, m.ID)
		}
	}
	switch {
	case len(b.all) == 0:
		return bad(Critical, name, "run pgincr backup", "there is none")
	case len(broken) > 0:
		return bad(Critical, name, "pgincr verify tells what is still whole; take a full backup",
			"%d of %d cannot be read: %s", len(broken), len(b.all), broken[0]).
			with("backups", float64(len(b.all)), "", 0)
	}
	return ok(name, "%d", len(b.all)).with("backups", float64(len(b.all)), "", 0)
}

// age looks when the newest ended.
func (b *backups) age() Finding {
	const name = "backup-age"
	m := Newest(b.all)
	if m == nil {
		return skipped(name, "there is no backup")
	}
	age := b.o.Clock().Sub(m.FinishedAt)
	f := ok(name, "%s, of %s", ageText(age), m.ID)
	switch {
	case b.o.MaxBackupAge > 0 && age > b.o.MaxBackupAge:
		f = bad(Critical, name, "run pgincr backup --incremental, and find out why its timer did not",
			"the newest, %s, ended %s ago, allowed are %s", m.ID, ageText(age), ageText(b.o.MaxBackupAge))
	case age < -time.Minute:
		f = bad(Warning, name, "set the clocks of the hosts: recovery to a time relies on them",
			"the newest, %s, ends %s from now", m.ID, ageText(-age))
	}
	return f.with("backup_age", age.Seconds(), "s", b.o.MaxBackupAge.Seconds()).
		with("backup_stored", float64(m.StoredBytes), "B", 0).
		with("backup_size", float64(m.SizeBytes), "B", 0)
}

// chain looks how long the newest one's is, and whether it is there.
func (b *backups) chain(ctx context.Context, c *repo.Cluster) Finding {
	const name = "chain"
	m := Newest(b.all)
	if m == nil {
		return skipped(name, "there is no backup")
	}
	chain, err := c.Chain(ctx, m)
	if err != nil {
		return Failed(name, err, "take a full backup: pgincr backup")
	}
	n := len(chain)
	f := ok(name, "%d backups", n)
	if b.o.MaxChain > 0 && n > b.o.MaxChain {
		f = bad(Warning, name, "take a full backup, or shorten it with pgincr compact latest",
			"%d backups, wanted are at most %d", n, b.o.MaxChain)
	}
	return f.with("chain", float64(n), "", float64(b.o.MaxChain))
}

// corruptPages looks whether the newest chain has pages that were corrupt already when they were backed up.
func (b *backups) corruptPages() Finding {
	const name = "corrupt-pages"
	m := Newest(b.all)
	if m == nil {
		return skipped(name, "there is no backup")
	}
	n := len(m.CorruptPages)
	f := ok(name, "none in the newest backup")
	if n > 0 {
		f = bad(Critical, name, "pgincr show "+m.ID+" names them; restore them from an older backup",
			"%d pages of the cluster were corrupt when %s was taken", n, m.ID)
	}
	return f.with("corrupt_pages", float64(n), "", 0)
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
