package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const archiving = "archiving segments"

// wal reads WAL that pgbench wrote, and archives and fetches segments of it.
func (b *bench) wal(ctx context.Context) error {
	dir := filepath.Join(b.dir, "wal")
	names, err := b.segments(ctx, dir)
	if err != nil {
		return err
	}
	reader := filepath.Join(b.dir, "bench-wal")
	build := exec.CommandContext(ctx, "go", "build", "-o", reader, "./bench/wal")
	if _, err := finish(build, runCommand); err != nil {
		return err
	}
	sides := []side{{
		name: "pg_waldump --quiet",
		args: []string{b.pg("pg_waldump"), "--quiet", "-p", dir, names[0], names[len(names)-1]},
	}}
	for _, jobs := range []string{"1", "2"} {
		sides = append(sides, side{name: "page maps, workers: " + jobs, args: []string{reader, "maps", dir, jobs}})
	}
	total := size(dir)
	for i := range sides {
		sides[i].after = func(_ context.Context, r *sample, _ string) error {
			r.More = map[string]float64{"MB of WAL": mega(total)}
			return nil
		}
	}
	if err := b.alternate(ctx, "page maps from WAL", b.cfg.runs, sides); err != nil {
		return err
	}
	if err := b.archive(ctx, dir, names[len(names)-min(len(names), 10):]); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// segments makes WAL and copies it to a directory.
func (b *bench) segments(ctx context.Context, dir string) (names []string, err error) {
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := b.directory(dir); err != nil {
		return nil, err
	}
	if err := b.settle(ctx); err != nil {
		return nil, err
	}
	first, err := b.sql(ctx, "SELECT pg_walfile_name(pg_current_wal_lsn())")
	if err != nil {
		return nil, err
	}
	err = b.do(ctx, "env", "PGOPTIONS=-csynchronous_commit=off",
		b.pg("pgbench"), "-n", "-c", "4", "-j", "2", "-T", "30")
	if err != nil {
		return nil, err
	}
	last, err := b.sql(ctx, "SELECT pg_walfile_name(pg_switch_wal())")
	if err != nil {
		return nil, err
	}
	entries, err := os.ReadDir(filepath.Join(b.pgdata(), "pg_wal"))
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		if name := e.Name(); len(name) == len(first) && name >= first && name <= last {
			if err := b.do(ctx, "cp", filepath.Join(b.pgdata(), "pg_wal", name), dir); err != nil {
				return nil, err
			}
			names = append(names, name)
		}
	}
	if len(names) < 3 {
		return nil, fmt.Errorf("only %d segments of WAL were written", len(names))
	}
	return names, nil
}

// archive stores segments one by one, each by a process of its own, and fetches them.
func (b *bench) archive(ctx context.Context, dir string, names []string) error {
	scratch := filepath.Join(b.dir, "archive")
	repo, out := scratch+"/repo", scratch+"/out"
	fresh := func(ctx context.Context) error {
		if err := os.RemoveAll(scratch); err != nil {
			return err
		}
		if err := b.directory(scratch); err != nil {
			return err
		}
		return b.do(ctx, b.pgincr(), "init", "-q", "-R", repo, "-D", b.pgdata())
	}
	loop := func(format string, args ...any) []string {
		body := fmt.Sprintf(format, args...)
		return []string{"sh", "-euc", "for s in " + strings.Join(names, " ") + "; do " + body + "; done"}
	}
	push := loop("%s archive-push -q --backlog 0 -R %s %s/$s", b.pgincr(), repo, dir)
	zstd := loop("zstd -3 -q %s/$s -o %s.$s.zst; sync %s.$s.zst", dir, out, out)
	filled := func(args []string) func(context.Context) error {
		return func(ctx context.Context) error {
			if err := fresh(ctx); err != nil {
				return err
			}
			return b.do(ctx, args...)
		}
	}
	each := func(_ context.Context, r *sample, _ string) error {
		r.More = map[string]float64{"ms a segment": r.Wall * 1000 / float64(len(names)), "segments": float64(len(names))}
		r.Stored = size(repo)
		return nil
	}
	err := b.alternate(ctx, archiving, b.cfg.runs, []side{
		{name: "zstd -3 and fsync", args: zstd, before: fresh, after: each},
		{name: "archive-push", args: push, before: fresh, after: each},
	})
	if err != nil {
		return err
	}
	err = b.alternate(ctx, "fetching segments", b.cfg.runs, []side{
		{
			name: "zstd -d and fsync", before: filled(zstd), after: each,
			args: loop("zstd -d -q %s.$s.zst -o %s.$s; sync %s.$s", out, out, out),
		},
		{
			name: "archive-get", before: filled(push), after: each,
			args: loop("%s archive-get -q --prefetch 0 -R %s $s %s.$s", b.pgincr(), repo, out),
		},
	})
	if err != nil {
		return err
	}
	return os.RemoveAll(scratch)
}
