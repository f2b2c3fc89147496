package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/pgincr/pgincr/internal/pagecache"
)

const window = 10 // seconds of pgbench, in which one backup is taken

// server measures what a backup costs the server: transactions of pgbench in a window in which
// one backup is taken, and what is in the page cache before and after.
func (b *bench) server(ctx context.Context) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	for run := range b.cfg.runs {
		t, err := b.newTaken("server")
		if err != nil {
			return err
		}
		sides := append([]side{{name: "no backup"}}, t.each(false, "wal")...)
		for i := range sides {
			if err := b.loaded(ctx, "full", run, sides[(run+i)%len(sides)]); err != nil {
				return err
			}
		}
		sides = append([]side{{name: "no backup"}}, t.each(true, "wal")...)
		for i := range sides {
			if err := b.loaded(ctx, "incremental", run, sides[(run+i)%len(sides)]); err != nil {
				return err
			}
		}
	}
	if err := b.cached(ctx); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(b.dir, "server"))
}

var tps = regexp.MustCompile(`tps = ([0-9.]+)`)

// loaded runs a side beside pgbench. A backup that takes longer than pgbench is waited for.
func (b *bench) loaded(ctx context.Context, name string, run int, s side) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	if s.before != nil {
		if err := s.before(ctx); err != nil {
			return err
		}
	}
	type answer struct {
		out string
		err error
	}
	done := make(chan answer, 1)
	go func() {
		out, err := b.output(ctx, b.pg("pgbench"), "-n", "-c", "4", "-j", "2", "-T", strconv.Itoa(window))
		done <- answer{out, err}
	}()
	r := sample{}
	if len(s.args) > 0 {
		time.Sleep(time.Second) // not synchronising: the load has begun
		var out string
		var err error
		if r, out, err = b.measure(b.command(ctx, s.args...)); err != nil {
			return errors.Join(err, (<-done).err)
		}
		if err := s.after(ctx, &r, out); err != nil {
			return errors.Join(err, (<-done).err)
		}
	}
	a := <-done
	if a.err != nil {
		return a.err
	}
	m := tps.FindStringSubmatch(a.out)
	if m == nil {
		return fmt.Errorf("pgbench printed no tps: %s", a.out)
	}
	rate, err := strconv.ParseFloat(m[1], 64)
	if err != nil {
		return err
	}
	r.Stage, r.Data, r.Case, r.Side, r.Run = b.stage, b.data, name, s.name, run
	r.More = map[string]float64{"tps": rate}
	return b.results.add(r)
}

// cached takes a full backup by each tool of files of which only a fifth is in the page cache.
func (b *bench) cached(ctx context.Context) error {
	t, err := b.newTaken("server")
	if err != nil {
		return err
	}
	for _, s := range t.each(false, "wal") {
		if err := b.cold(ctx, "page cache, full", s); err != nil {
			return err
		}
	}
	for _, source := range []string{"lsn", "hash"} {
		t.last[source] = t.last["wal"]
		if err := b.cold(ctx, "page cache, incremental", t.ours(source, source, true)); err != nil {
			return err
		}
	}
	return nil
}

func (b *bench) cold(ctx context.Context, name string, s side) error {
	if err := b.settle(ctx); err != nil {
		return err
	}
	if err := b.eachFile(evict); err != nil {
		return err
	}
	if err := b.eachFile(readFifth); err != nil {
		return err
	}
	before, err := b.resident()
	if err != nil {
		return err
	}
	after := s.after
	s.after = func(ctx context.Context, r *sample, out string) error {
		if err := after(ctx, r, out); err != nil {
			return err
		}
		now, err := b.resident()
		r.More = map[string]float64{"MB cached before": before, "MB cached after": now}
		return err
	}
	return b.once(ctx, name, 0, s)
}

// evict makes the kernel drop a file from the page cache.
func evict(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	err = f.Sync()
	pagecache.Drop(f, []pagecache.Span{{Len: st.Size()}})
	return err
}

// readFifth leaves the first fifth of a file in the page cache.
func readFifth(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = io.CopyN(io.Discard, f, st.Size()/5)
	return err
}

// eachFile calls do with each data file.
func (b *bench) eachFile(do func(*os.File) error) error {
	return filepath.WalkDir(filepath.Join(b.pgdata(), "base"), func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return errors.Join(do(f), f.Close())
	})
}

// resident is how much of the data files is in the page cache, in MB.
func (b *bench) resident() (float64, error) {
	var in int64
	err := b.eachFile(func(f *os.File) error {
		st, err := f.Stat()
		if err != nil {
			return err
		}
		in += st.Size()
		for _, s := range pagecache.Missing(f, 0, st.Size(), nil) {
			in -= s.Len
		}
		return nil
	})
	return mega(in), err
}
