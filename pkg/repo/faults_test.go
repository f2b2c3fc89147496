package repo_test

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
	"github.com/pgincr/pgincr/pkg/wal"
)

var faultModes = []storetest.FaultMode{storetest.FailOnce, storetest.FailLate, storetest.Die}

// eachFault runs body on a new cluster with its 1st, 2nd, 3rd … operation failing until
// none does. check looks at what is left through a store of its own.
func eachFault(t *testing.T, prepare func(c *repo.Cluster), body func(ctx context.Context, st repo.Store) error,
	check func(t *testing.T, c *repo.Cluster, err error),
) {
	for _, mode := range faultModes {
		t.Run(mode.String(), func(t *testing.T) {
			for n := 1; ; n++ {
				st := storetest.NewMemory()
				prepare(newTestCluster(t, st))
				faults := storetest.NewFaults(st, mode, n)
				err := body(t.Context(), faults)
				if faults.Fired() && mode != storetest.FailLate && !errors.Is(err, storetest.ErrInjected) {
					t.Fatalf("operation %d failed and the result is %v", n, err)
				}
				c, openErr := repo.OpenCluster(t.Context(), st, "main")
				must(t, openErr)
				check(t, c, err)
				if t.Failed() {
					t.Fatalf("after operation %d: %v", n, err)
				}
				if !faults.Fired() {
					if err != nil {
						t.Fatal(err)
					}
					t.Logf("%d operations", n-1)
					return
				}
			}
		})
	}
}

// Wherever writing a backup fails, it is either complete or no backup; the one before it is
// as it was, and the next one succeeds.
func TestBackupWriteFails(t *testing.T) {
	prepare := func(c *repo.Cluster) {
		_, err := store(t.Context(), c, testManifest(fullID, "", 0x2000028), smallFull)
		must(t, err)
	}
	body := func(ctx context.Context, st repo.Store) error {
		c, err := repo.OpenCluster(ctx, st, "main")
		if err == nil {
			_, err = store(ctx, c, testManifest(incrID, fullID, 0x3000028), smallIncr)
		}
		return err
	}
	eachFault(t, prepare, body, func(t *testing.T, c *repo.Cluster, failure error) {
		ctx := t.Context()
		all, err := c.Backups(ctx)
		must(t, err)
		if len(all) == 0 || all[0].ID != fullID || len(all) > 2 {
			t.Fatalf("%d backups", len(all))
		}
		if failure == nil && len(all) != 2 {
			t.Error("the backup is not listed")
		}
		for _, m := range all {
			if ok, problems := verify(t, c, m.ID); !ok {
				t.Errorf("%s: %q", m.ID, problems)
			}
		}
		if _, err := store(ctx, c, testManifest("20261123T083812Z-I", fullID, 0x4000028), smallIncr); err != nil {
			t.Errorf("the next backup: %v", err)
		}
	})
}

// An aborted backup leaves no object behind.
func TestAbortRemovesEverything(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	b, err := c.CreateBackup(ctx, fullID, zstd)
	must(t, err)
	closed, open := b.NewPackWriter(), b.NewPackWriter()
	for _, w := range []*repo.PackWriter{closed, open} {
		f, err := rel(ctx, w, "base/5/16384", 6, 1, 2, run(0, 6))
		must(t, err)
		f.Whole = true
		if w == closed {
			must(t, w.Close(ctx))
			must(t, b.AppendFile(ctx, f))
		}
	}
	must(t, b.PutControl(ctx, make([]byte, pg.ControlFileSize)))
	must(t, b.PutWAL(ctx, walSeg, strings.NewReader("x")))
	if err := b.Commit(ctx, testManifest(fullID, "", 1)); err == nil {
		t.Error("committed with an open pack writer")
	}
	must(t, b.Abort(ctx))
	must(t, b.Abort(ctx))
	found, err := st.List(ctx, "", true)
	must(t, err)
	if len(found) != 1 || found[0].Name != "main/cluster.json" {
		t.Errorf("left over: %v", found)
	}
}

// Wherever archiving a segment fails, the archive holds it whole or not at all, and
// archiving it again succeeds.
func TestArchivingFails(t *testing.T) {
	segment := bytes.Repeat([]byte("segment "), 150_000)
	body := func(ctx context.Context, st repo.Store) error {
		c, err := repo.OpenCluster(ctx, st, "main")
		if err != nil {
			return err
		}
		a := c.WAL(zstd)
		if err := a.Put(ctx, walSeg, bytes.NewReader(segment)); err != nil {
			return err
		}
		return a.PutMap(ctx, walSeg, []byte("map"))
	}
	eachFault(t, func(*repo.Cluster) {}, body, func(t *testing.T, c *repo.Cluster, failure error) {
		ctx := t.Context()
		a := c.WAL(zstd)
		has, err := a.Has(ctx, walSeg)
		must(t, err)
		if failure == nil && !has {
			t.Error("the segment is not there")
		}
		for range 2 {
			if has {
				data, err := readWAL(ctx, a.Open, walSeg)
				if err != nil || !bytes.Equal(data, segment) {
					t.Errorf("%d bytes, %v", len(data), err)
				}
			}
			if err := a.Put(ctx, walSeg, bytes.NewReader(segment)); err != nil {
				t.Errorf("archived again: %v", err)
			}
			has = true
		}
		must(t, a.PutMap(ctx, walSeg, []byte("map")))
		if data, err := a.GetMap(ctx, walSeg); err != nil || string(data) != "map" {
			t.Errorf("map %q, %v", data, err)
		}
	})
}

// Wherever reading fails, the result is an error and never other content.
func TestReadingFails(t *testing.T) {
	var right map[string][]byte
	prepare := func(c *repo.Cluster) {
		storeSmallChain(t, c)
		var err error
		right, err = readAll(t.Context(), c, incrID)
		must(t, err)
	}
	body := func(ctx context.Context, st repo.Store) error {
		c, err := repo.OpenCluster(ctx, st, "main")
		if err != nil {
			return err
		}
		got, err := readAll(ctx, c, incrID)
		for path, data := range got {
			if err == nil && !bytes.Equal(data, right[path]) {
				t.Errorf("%s: read wrong", path)
			}
		}
		return err
	}
	eachFault(t, prepare, body, func(*testing.T, *repo.Cluster, error) {})
}

// Wherever fetching a WAL file fails, there is no file or the whole one, the error is none that PostgreSQL would take
// for the end of WAL, and fetching it again succeeds.
func TestFetchingFails(t *testing.T) {
	segment := bytes.Repeat([]byte("segment "), 150_000)
	dest := filepath.Join(t.TempDir(), "RECOVERYXLOG")
	prepare := func(c *repo.Cluster) {
		must(t, c.WAL(zstd).Put(t.Context(), walSeg, bytes.NewReader(segment)))
		must(t, os.RemoveAll(dest))
	}
	for _, missing := range []bool{false, true} {
		name, expected := walSeg, segment
		if missing {
			name, expected = "0000000100000000000000FF", nil
		}
		get := func(ctx context.Context, st repo.Store) error {
			c, err := repo.OpenCluster(ctx, st, "main")
			if err != nil {
				return err
			}
			if err := wal.Get(ctx, c.WAL(zstd), name, dest); !missing || !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		}
		eachFault(t, prepare, get, func(t *testing.T, c *repo.Cluster, failure error) {
			if errors.Is(failure, fs.ErrNotExist) {
				t.Errorf("taken for the end of WAL: %v", failure)
			}
			for range 2 {
				content, err := os.ReadFile(dest)
				if failure == nil && !missing || err == nil {
					must(t, err)
					if !bytes.Equal(content, expected) {
						t.Errorf("%d bytes, want %d", len(content), len(expected))
					}
				}
				left, err := os.ReadDir(filepath.Dir(dest))
				must(t, err)
				if len(left) > 1 {
					t.Errorf("left behind: %v", left)
				}
				err = wal.Get(t.Context(), c.WAL(zstd), name, dest)
				if missing != errors.Is(err, fs.ErrNotExist) || !missing && err != nil {
					t.Errorf("fetched again: %v", err)
				}
				failure = err
			}
		})
	}
}
