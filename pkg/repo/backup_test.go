package repo

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgincr/pgincr/pkg/pg"
)

const (
	fullID = "20261123T083810Z-F"
	incrID = "20261123T083811Z-I"
)

// writeChain stores a full backup and an incremental one on it.
func writeChain(t testing.TB, c *Cluster) (full, incr []*File) {
	t.Helper()
	full = writeBackup(t, c, testManifest(fullID, "", 0x2000028), func(w *PackWriter) []*File {
		r := rel(t, w, "base/5/16384", 1000, 1, 128, BlockRun{0, 300}, BlockRun{310, 690})
		r.Whole, r.Zero = true, []BlockRun{{300, 10}}
		return []*File{
			{Path: ".", Kind: KindDir, Mode: 0o700},
			plain(t, w, "PG_VERSION", []byte("15\n")),
			{Path: "base", Kind: KindDir, Mode: 0o700},
			r,
			plain(t, w, "global/pg_filenode.map", bytes.Repeat([]byte("x"), 3<<20+5)),
			{Path: "pg_tblspc/16999", Kind: KindLink, Link: "/srv/space"},
		}
	})
	incr = writeBackup(t, c, testManifest(incrID, fullID, 0x3000028), func(w *PackWriter) []*File {
		r := rel(t, w, "base/5/16384", 900, 2, 128, BlockRun{3, 1}, BlockRun{299, 3}, BlockRun{880, 20})
		r.Zero = []BlockRun{{500, 2}}
		same := *full[4]
		same.Whole, same.Frames = false, nil
		return []*File{full[0], plain(t, w, "PG_VERSION", []byte("15!\n")), r, &same}
	})
	return full, incr
}

// What was written is what is read, entry by entry and byte by byte.
func TestBackupRoundTrip(t *testing.T) {
	c := newTestCluster(t)
	ctx := t.Context()
	full, _ := writeChain(t, c)
	m, err := c.Backup(ctx, LatestFull)
	must(t, err)
	r, err := c.OpenBackup(ctx, m)
	must(t, err)
	var got []*File
	for f, err := range r.Files(ctx) {
		must(t, err)
		got = append(got, f)
	}
	if d := cmp.Diff(full, got, cmpopts.EquateEmpty()); d != "" {
		t.Error(d)
	}
	for _, f := range got {
		for _, fr := range f.Frames {
			_, err := r.ReadFrame(ctx, fr, nil)
			must(t, err)
		}
	}
	control, err := r.Control(ctx)
	if err != nil || !bytes.Equal(control, bytes.Repeat([]byte{7}, pg.ControlFileSize)) {
		t.Errorf("control: %d bytes, %v", len(control), err)
	}
	wal, err := r.OpenWAL(ctx, "000000010000000000000002")
	must(t, err)
	data, err := io.ReadAll(wal)
	if err != nil || !bytes.Equal(data, make([]byte, 3<<20)) {
		t.Errorf("WAL: %d bytes, %v", len(data), err)
	}
	must(t, wal.Close())
	must(t, r.Close())
	_, err = r.OpenWAL(ctx, "000000010000000000000003")
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("WAL that is not carried: %v", err)
	}
}

// A chain gives each block from the newest backup that has it, and the hash of each as well.
func TestChainReadsNewestBlocks(t *testing.T) {
	c := newTestCluster(t)
	ctx := t.Context()
	writeChain(t, c)
	m, err := c.Backup(ctx, Latest)
	must(t, err)
	ch, err := c.OpenChain(ctx, m)
	must(t, err)
	want := make([]byte, 900*8192)
	for b := range 900 {
		version := uint64(1)
		switch {
		case b >= 302 && b < 310 || b == 500 || b == 501:
			continue
		case b == 3, b >= 299 && b < 302, b >= 880:
			version = 2
		}
		copy(want[b*8192:], testPage(version<<32|uint64(b)))
	}
	var paths []string
	for cf, err := range ch.Files(ctx) {
		must(t, err)
		paths = append(paths, cf.Path)
		got, err := readChainFile(ctx, ch, cf)
		must(t, err)
		switch cf.Path {
		case "PG_VERSION":
			if string(got) != "15!\n" {
				t.Errorf("PG_VERSION: %q", got)
			}
		case "global/pg_filenode.map":
			if !bytes.Equal(got, bytes.Repeat([]byte("x"), 3<<20+5)) {
				t.Errorf("pg_filenode.map: differs")
			}
		case "base/5/16384":
			if !bytes.Equal(got, want) {
				t.Error("relation differs")
			}
			hashes, err := cf.PageHashes(ctx, ch, pg.DefaultGeometry())
			must(t, err)
			for b := range 900 {
				if hashes[b] != PageHash(pg.Page(want[b*8192:][:8192])) {
					t.Errorf("hash of block %d is another page's", b)
				}
			}
		}
	}
	if d := cmp.Diff([]string{".", "PG_VERSION", "base/5/16384", "global/pg_filenode.map"}, paths); d != "" {
		t.Error(d)
	}
	must(t, ch.Close())
}
