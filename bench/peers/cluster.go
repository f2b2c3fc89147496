package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

const port = "5497"

// bench is one stage on one cluster, whose server runs meanwhile.
type bench struct {
	cfg         config
	stage, data string
	dir         string // of this data set
	pid         int    // of the postmaster
	results     *results
}

func (b *bench) pgdata() string { return filepath.Join(b.dir, "data") }
func (b *bench) pgincr() string { return filepath.Join(b.dir, "pgincr") }
func (b *bench) peers() string  { return filepath.Join(b.dir, "peers") } // this program
func (b *bench) repo() string   { return filepath.Join(b.dir, "repo") }

// open prepares a stage on a data set. Its server does not run yet.
func open(ctx context.Context, cfg config, stage, data string) (*bench, error) {
	b := &bench{cfg: cfg, stage: stage, data: data, dir: filepath.Join(cfg.dir, data)}
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.Chown(b.dir, cfg.uid, cfg.gid); err != nil {
		return nil, err
	}
	var err error
	if b.results, err = load(cfg.results); err != nil {
		return nil, err
	}
	if err := build(ctx, b.pgincr(), "./cmd/pgincr"); err != nil {
		return nil, err
	}
	if err := b.describe(ctx); err != nil {
		return nil, err
	}
	b.results.drop(stage, data)
	return b, nil
}

// serve starts the server of the data set, which is made if it is not there.
func (b *bench) serve(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(b.dir, "made")); err == nil {
		return b.start(ctx)
	}
	return b.make(ctx)
}

func build(ctx context.Context, to, program string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", to, program)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	_, err := finish(cmd, runCommand)
	return err
}

// stop stops the server, also one that an earlier run has left, if it runs.
func (b *bench) stop(ctx context.Context) error {
	err := b.do(ctx, b.pg("pg_ctl"), "-D", b.pgdata(), "status")
	var exit *exec.ExitError
	const stopped, nothing = 3, 4 // no server runs, there is no data directory: exit codes of pg_ctl
	if errors.As(err, &exit) && (exit.ExitCode() == stopped || exit.ExitCode() == nothing) {
		return nil
	}
	if err != nil {
		return err
	}
	return b.do(ctx, b.pg("pg_ctl"), "-D", b.pgdata(), "-m", "immediate", "-w", "stop")
}

// clean stops the servers of all data sets and removes all but the results.
func clean(ctx context.Context, cfg config) error {
	entries, err := os.ReadDir(cfg.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(cfg.dir, e.Name())
		if path == cfg.results {
			continue
		}
		if e.IsDir() {
			if err := (&bench{cfg: cfg, dir: path}).stop(ctx); err != nil {
				return err
			}
		}
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	return nil
}

// make initialises and fills the cluster.
func (b *bench) make(ctx context.Context) error {
	if _, err := os.Stat(b.pgdata()); err == nil {
		return fmt.Errorf("%s is not complete: remove it, or run clean", b.pgdata())
	}
	if err := b.do(ctx, b.pg("initdb"), "-D", b.pgdata(), "-U", "bench", "-A", "trust", "-k", "--no-sync"); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(b.pgdata(), "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, `
listen_addresses = ''
unix_socket_directories = '%s'
port = %s
shared_buffers = 512MB
max_wal_size = 16GB
checkpoint_timeout = 1h
autovacuum = off
summarize_wal = on
archive_mode = on
archive_command = '%s archive-push -q -R %s %%p'
`, b.dir, port, b.pgincr(), b.repo())
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := b.start(ctx); err != nil {
		return err
	}
	if err := b.do(ctx, b.pgincr(), "init", "-q"); err != nil {
		return err
	}
	if err := b.fill(ctx); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(b.dir, "made"), nil, 0o644)
}

func (b *bench) start(ctx context.Context) error {
	log := filepath.Join(b.dir, "log")
	if err := b.do(ctx, b.pg("pg_ctl"), "-D", b.pgdata(), "-l", log, "-w", "-t", "300", "start"); err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(b.pgdata(), "postmaster.pid"))
	if err != nil {
		return err
	}
	first, _, _ := strings.Cut(string(data), "\n")
	b.pid, err = strconv.Atoi(first)
	return err
}

// settle leaves nothing to be written by anybody, and no WAL to be archived or summarized.
func (b *bench) settle(ctx context.Context) error {
	if _, err := b.sql(ctx, "SELECT pg_switch_wal()"); err != nil {
		return err
	}
	if _, err := b.sql(ctx, "CHECKPOINT"); err != nil {
		return err
	}
	for deadline := time.Now().Add(5 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		ready, err := filepath.Glob(filepath.Join(b.pgdata(), "pg_wal/archive_status/*.ready"))
		if err != nil {
			return err
		}
		if len(ready) == 0 {
			break
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d segments are still not archived", len(ready))
		}
	}
	return b.sync(ctx)
}

func (b *bench) sync(ctx context.Context) error { return b.do(ctx, "sync", "-f", b.dir) }

// size is what a directory takes, in bytes of its files.
func size(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if st, err := d.Info(); err == nil {
				total += st.Size()
			}
		}
		return nil // a file that went meanwhile has no size
	})
	return total
}
