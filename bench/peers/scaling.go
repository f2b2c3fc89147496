package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const curveRuns = 3

// scaling measures how time and memory of pgincr grow, with one thing at a time.
func (b *bench) scaling(ctx context.Context) error {
	for _, part := range []func(context.Context) error{b.byShare, b.byChain, b.byFiles, b.bySize} {
		if err := part(ctx); err != nil {
			return err
		}
		if err := os.RemoveAll(filepath.Join(b.dir, "scaling")); err != nil {
			return err
		}
	}
	return nil
}

// point measures a side of a curve at x.
func (b *bench) point(ctx context.Context, curve, name string, x float64, s side) error {
	s.name = name
	after := s.after
	s.after = func(ctx context.Context, r *sample, out string) error {
		if after != nil {
			if err := after(ctx, r, out); err != nil {
				return err
			}
		}
		if r.More == nil {
			r.More = map[string]float64{}
		}
		r.More["x"] = x
		return nil
	}
	return b.once(ctx, curve, 0, s)
}

func (t *taken) put(id string) side {
	out := filepath.Join(t.where, "out")
	return side{
		args:   []string{t.b.pgincr(), "restore", "-q", id, "-D", out, "-j", t.jobs()},
		before: func(context.Context) error { return os.RemoveAll(out) },
		after:  func(context.Context, *sample, string) error { return os.RemoveAll(out) },
	}
}

func (b *bench) byShare(ctx context.Context) error {
	const curve = "share of the pages changed, %"
	t, err := b.newTaken("scaling")
	if err != nil {
		return err
	}
	for _, chain := range []string{"wal", "lsn"} {
		if err := b.unmeasured(ctx, t.ours(chain, chain, false)); err != nil {
			return err
		}
	}
	for range curveRuns {
		for _, percent := range []float64{0, 1, 5, 10, 20, 40} {
			if err := b.apply(ctx, change{share: percent / 100}); err != nil {
				return err
			}
			for _, source := range []string{"wal", "lsn"} {
				if err := b.point(ctx, curve, "incremental by "+source, percent, t.ours(source, source, true)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (b *bench) byChain(ctx context.Context) error {
	const curve = "length of the chain"
	t, err := b.newTaken("scaling")
	if err != nil {
		return err
	}
	if err := b.unmeasured(ctx, t.ours("wal", "wal", false)); err != nil {
		return err
	}
	measured := map[int]bool{1: true, 10: true, 20: true, 30: true, 40: true, 50: true}
	for length := 1; length <= 50; length++ {
		if length > 1 {
			if err := b.apply(ctx, change{share: 0.002}); err != nil {
				return err
			}
			if err := b.point(ctx, curve, "incremental by wal", float64(length), t.ours("wal", "wal", true)); err != nil {
				return err
			}
		}
		if !measured[length] {
			continue
		}
		for range curveRuns {
			if err := b.point(ctx, curve, "restore", float64(length), t.put(t.last["wal"])); err != nil {
				return err
			}
		}
	}
	return nil
}

// byFiles puts files of one page, holes, where relations of the database postgres are.
func (b *bench) byFiles(ctx context.Context) error {
	const curve = "number of files"
	oid, err := b.sql(ctx, "SELECT oid FROM pg_database WHERE datname = 'postgres'")
	if err != nil {
		return err
	}
	dir, have := filepath.Join(b.pgdata(), "base", oid), 0
	defer func() {
		for i := range have {
			_ = os.Remove(filepath.Join(dir, fileName(i)))
		}
	}()
	for _, files := range b.cfg.files {
		for ; have < files; have++ {
			if err := b.hole(filepath.Join(dir, fileName(have))); err != nil {
				return err
			}
		}
		if err := b.settle(ctx); err != nil {
			return err
		}
		for range curveRuns {
			t, err := b.newTaken("scaling")
			if err != nil {
				return err
			}
			if err := b.point(ctx, curve, "full", float64(files), t.ours("wal", "wal", false)); err != nil {
				return err
			}
			t.last["lsn"] = t.last["wal"]
			for _, source := range []string{"wal", "lsn"} {
				if err := b.point(ctx, curve, "incremental by "+source, float64(files), t.ours(source, source, true)); err != nil {
					return err
				}
			}
			if err := b.point(ctx, curve, "restore", float64(files), t.put(t.last["wal"])); err != nil {
				return err
			}
		}
	}
	return nil
}

func fileName(i int) string { return strconv.Itoa(3_000_000_000 + i) } // numbers that no relation gets

func (b *bench) hole(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(8192), f.Chown(b.cfg.uid, b.cfg.gid), f.Close())
}

const bySizeCurve = "size of the data, GB"

func (b *bench) bySize(ctx context.Context) error {
	if _, err := b.sql(ctx, "CREATE TABLE filler (i bigint, t text) WITH (fillfactor = 90)"); err != nil {
		return err
	}
	for _, gigabytes := range b.cfg.gigabytes {
		if err := b.grow(ctx, gigabytes); err != nil {
			return err
		}
		for range curveRuns {
			t, err := b.newTaken("scaling")
			if err != nil {
				return err
			}
			if err := b.pointsOfSize(ctx, t, float64(gigabytes)); err != nil {
				return err
			}
		}
	}
	_, err := b.sql(ctx, "DROP TABLE filler")
	return err
}

func (b *bench) pointsOfSize(ctx context.Context, t *taken, x float64) error {
	const curve = bySizeCurve
	if err := b.point(ctx, curve, "full", x, t.ours("wal", "wal", false)); err != nil {
		return err
	}
	t.last["lsn"] = t.last["wal"]
	if err := b.apply(ctx, change{rows: 100}); err != nil {
		return err
	}
	for _, s := range []side{b.floors()[0], b.startStop()} {
		if err := b.point(ctx, curve, s.name, x, s); err != nil {
			return err
		}
	}
	for _, source := range []string{"wal", "lsn"} {
		if err := b.point(ctx, curve, "incremental by "+source, x, t.ours(source, source, true)); err != nil {
			return err
		}
	}
	return b.point(ctx, curve, "restore", x, t.put(t.last["wal"]))
}

// grow fills the database until it has so many gigabytes.
func (b *bench) grow(ctx context.Context, gigabytes int) error {
	out, err := b.sql(ctx, "SELECT pg_database_size('postgres')")
	if err != nil {
		return err
	}
	have, err := strconv.ParseInt(strings.TrimSpace(out), 10, 64)
	if err != nil {
		return err
	}
	const row = 185 // bytes that one takes
	if rows := (int64(gigabytes)*1e9 - have) / row; rows > 0 {
		_, err = b.sql(ctx, fmt.Sprintf(`INSERT INTO filler
			SELECT i, md5(i::text) || md5((i * 3)::text) || md5((i / 7)::text) || repeat('pgincr ', 4)
			FROM generate_series(1, %d) i`, rows))
		if err != nil {
			return err
		}
	}
	return b.settle(ctx)
}
