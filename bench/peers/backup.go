package main

import (
	"context"
	"os"
	"path/filepath"
)

// full takes full backups, each into what is there of its tool, and reads the files as the floor.
func (b *bench) full(ctx context.Context) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	for run := range b.cfg.runs {
		t, err := b.newTaken("full")
		if err != nil {
			return err
		}
		sides := append(b.floors(), t.each(false, "wal")...)
		for i := range sides {
			if err := b.once(ctx, "full", run, sides[(run+i)%len(sides)]); err != nil {
				return err
			}
		}
	}
	return os.RemoveAll(filepath.Join(b.dir, "full"))
}

// floors is what the hardware does with the same files.
func (b *bench) floors() []side {
	out := filepath.Join(b.dir, "full/floor")
	remove := func(_ context.Context, r *sample, _ string) error {
		r.Stored = size(out)
		return os.RemoveAll(out)
	}
	files := "find " + b.pgdata() + "/base " + b.pgdata() + "/global -type f -print0 | "
	return []side{
		{name: "cat of the files", args: []string{"sh", "-c", files + "xargs -0 cat >/dev/null"}},
		{
			name: "cp -r and sync", after: remove,
			args: []string{"sh", "-c", "cp -r " + b.pgdata() + "/base " + out + " && sync -f " + out},
		},
		{
			name: "zstd -3 of the files", after: remove,
			args: []string{"sh", "-c", files + "xargs -0 cat | zstd -3 -q -T2 -o " + out + " && sync " + out},
		},
	}
}

const startStop = "start, stop and the archive"

// startStop is what a backup waits for whatever it copies: the server's functions, and the segment that they end.
func (b *bench) startStop() side {
	return side{name: startStop, args: []string{"sh", "-c", `last=$(` + b.pg("psql") + ` -XAtq \
			-c "SELECT pg_backup_start('floor', true)" \
			-c "SELECT pg_walfile_name(lsn) FROM pg_backup_stop(false)" | tail -n 1)
		while [ -e ` + b.pgdata() + `/pg_wal/$last ] && [ ! -e ` + b.pgdata() + `/pg_wal/archive_status/$last.done ]; do
			sleep 0.002
		done`}}
}

// incremental takes incremental backups of the same changes by each tool, each on its last.
func (b *bench) incremental(ctx context.Context) error {
	t, err := b.newTaken("incremental")
	if err != nil {
		return err
	}
	sources := []string{"wal", "lsn", "summaries"}
	if err := b.settle(ctx); err != nil {
		return err
	}
	for _, s := range t.each(false, sources...) {
		if err := b.unmeasured(ctx, s); err != nil {
			return err
		}
	}
	for run := range b.cfg.runs {
		for _, c := range changes() {
			if err := b.apply(ctx, c); err != nil {
				return err
			}
			sides := append([]side{b.floors()[0], b.startStop()}, t.each(true, sources...)...)
			for i := range sides {
				if err := b.once(ctx, c.name, run, sides[(run+i)%len(sides)]); err != nil {
					return err
				}
			}
		}
	}
	return os.RemoveAll(filepath.Join(b.dir, "incremental"))
}

// unmeasured runs a side for what it leaves behind.
func (b *bench) unmeasured(ctx context.Context, s side) error {
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return err
		}
	}
	out, err := b.output(ctx, s.args...)
	if err != nil || s.after == nil {
		return err
	}
	return s.after(ctx, &sample{}, out)
}
