package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// restore puts chains back, beside a copy of the result, and one directory in place.
func (b *bench) restore(ctx context.Context) error {
	for _, length := range b.cfg.chains {
		if err := b.restoreChain(ctx, length); err != nil {
			return err
		}
	}
	return nil
}

// chained is a chain of each tool, and what is compared with it.
type chained struct {
	*taken
	full, later string // ids: a full backup of the same state; one after 1 % of the pages has changed
}

func (b *bench) restoreChain(ctx context.Context, length int) error {
	t, err := b.newTaken("restore")
	if err != nil {
		return err
	}
	if err := build(ctx, b.peers(), "./bench/peers"); err != nil {
		return err
	}
	c := &chained{taken: t}
	// In a chain of 9 each link changes about 2 % of the pages, in longer ones all together as much.
	link := change{share: 0.16 / float64(length-1)}
	for i := range length {
		if i > 0 {
			if err := b.apply(ctx, link); err != nil {
				return err
			}
		}
		for _, s := range t.each(i > 0, "wal") {
			if err := b.unmeasured(ctx, s); err != nil {
				return err
			}
		}
	}
	if err := b.unmeasured(ctx, t.ours("full", "wal", false)); err != nil {
		return err
	}
	c.full, c.last["later"] = t.last["full"], t.last["full"]
	if err := b.apply(ctx, change{share: 0.01}); err != nil {
		return err
	}
	if err := b.unmeasured(ctx, t.ours("later", "wal", true)); err != nil {
		return err
	}
	c.later = t.last["later"]
	for _, dir := range []string{"reference", "before"} {
		if err := b.do(ctx, b.pgincr(), "restore", "-q", c.full, "-D", filepath.Join(t.where, dir)); err != nil {
			return err
		}
	}
	if err := b.alternate(ctx, fmt.Sprintf("chain of %d", length), b.cfg.runs, c.sides()); err != nil {
		return err
	}
	return os.RemoveAll(t.where)
}

const comparing = "reading, hashes and checksums"

func (c *chained) sides() []side {
	b, place := c.b, &places{b: c.b, where: c.where}
	out, fresh := place.out(), place.fresh
	own := func(_ context.Context, r *sample, _ string) error {
		r.Stored = size(out)
		return nil
	}
	ours := func(id string, options ...string) []string {
		return append([]string{b.pgincr(), "restore", "-q", id, "-D", out, "-j", c.jobs()}, options...)
	}
	sides := []side{
		{
			name: "cp -r and sync", before: fresh, after: own,
			args: []string{"sh", "-c", "cp -r " + filepath.Join(c.where, "reference") + " " + out + " && sync -f " + out},
		},
		{name: "pgincr, the chain", args: ours(c.last["wal"]), before: fresh, after: own},
		{name: "pgincr, one full backup", args: ours(c.full), before: fresh, after: own},
		{
			name: "pgincr, in place", args: ours(c.later, "--delta"), after: own,
			before: func(ctx context.Context) error {
				if err := fresh(ctx); err != nil {
					return err
				}
				return b.do(ctx, "cp", "-a", filepath.Join(c.where, "before"), out)
			},
		},
		{
			name: comparing, args: []string{b.peers(), "compare", filepath.Join(c.where, "before"), c.jobs()},
		},
		{
			name: "pg_combinebackup", before: fresh, after: own,
			args: append([]string{b.pg("pg_combinebackup"), "-o", out}, c.dirs["native"]...),
		},
	}
	if b.cfg.backrest != "" {
		sides = append(sides, side{
			name: "pgBackRest", args: c.rest("restore", out, "--type=none", "--process-max="+c.jobs()), after: own,
			before: func(ctx context.Context) error {
				if err := fresh(ctx); err != nil {
					return err
				}
				return b.directory(out)
			},
		})
	}
	if b.cfg.walg != "" {
		fetch := strconv.Quote(b.cfg.walg) + " backup-fetch " + out + " LATEST && sync -f " + out
		sides = append(sides, side{
			name: "WAL-G and sync", before: fresh, after: own, args: []string{"env", c.walgPrefix(), "sh", "-c", fetch},
		})
	}
	return sides
}
