package repo_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// openFunc opens a WAL file, of an archive or a backup.
type openFunc = func(context.Context, string) (io.ReadCloser, error)

// readWAL reads a WAL file through.
func readWAL(ctx context.Context, open openFunc, name string) ([]byte, error) {
	r, err := open(ctx, name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(r)
	return data, errors.Join(err, r.Close())
}

// fullFiles has each kind of file, in several frames.
func fullFiles(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
	version, err1 := plain(ctx, w, "PG_VERSION", []byte("15\n"))
	r, err2 := rel(ctx, w, "base/5/16384", 1000, 1, 128, run(0, 300), run(310, 690))
	filemap, err3 := plain(ctx, w, "global/pg_filenode.map", bytes.Repeat([]byte("x"), 3<<20+5))
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	r.Whole, r.Zero = true, []repo.BlockRun{run(300, 10)}
	return []*repo.File{
		{Path: ".", Kind: repo.KindDir, Mode: 0o700},
		version,
		{Path: "base", Kind: repo.KindDir, Mode: 0o700},
		r,
		filemap,
		{Path: "pg_tblspc/16999", Kind: repo.KindLink, Link: "/srv/space"},
	}, nil
}

// storeChain stores a full backup and an incremental one on it.
func storeChain(t testing.TB, c *repo.Cluster) (full []*repo.File) {
	t.Helper()
	full, err := store(t.Context(), c, testManifest(fullID, "", 0x2000028), fullFiles)
	must(t, err)
	incr := func(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
		version, err1 := plain(ctx, w, "PG_VERSION", []byte("15!\n"))
		r, err2 := rel(ctx, w, "base/5/16384", 900, 2, 128, run(3, 1), run(299, 3), run(880, 20))
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		r.Zero = []repo.BlockRun{run(500, 2)}
		same := *full[4]
		same.Whole, same.Frames = false, nil
		return []*repo.File{full[0], version, r, &same}, nil
	}
	_, err = store(t.Context(), c, testManifest(incrID, fullID, 0x3000028), incr)
	must(t, err)
	return full
}

// What was written is what is read, entry by entry and byte by byte.
func TestBackupRoundTrip(t *testing.T) {
	c := newTestCluster(t, newTestStore(t))
	ctx := t.Context()
	full := storeChain(t, c)
	m, err := c.Backup(ctx, repo.LatestFull)
	must(t, err)
	r, err := c.OpenBackup(ctx, m)
	must(t, err)
	var got []*repo.File
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
	data, err := readWAL(ctx, r.OpenWAL, walSeg)
	if err != nil || !bytes.Equal(data, make([]byte, 70_000)) {
		t.Errorf("WAL: %d bytes, %v", len(data), err)
	}
	if _, err = r.OpenWAL(ctx, "000000010000000000000003"); !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("WAL that is not carried: %v", err)
	}
	must(t, r.Close())
}

// A chain gives each block from the newest backup that has it, and, without reading a pack,
// the hash of each as well.
func TestChainReadsNewestBlocks(t *testing.T) {
	c := newTestCluster(t, newTestStore(t))
	ctx := t.Context()
	storeChain(t, c)
	want := map[string][]byte{
		".": {}, "PG_VERSION": []byte("15!\n"), "base/5/16384": make([]byte, 900*8192),
		"global/pg_filenode.map": bytes.Repeat([]byte("x"), 3<<20+5),
		"control":                bytes.Repeat([]byte{7}, pg.ControlFileSize), walSeg: make([]byte, 70_000),
	}
	for b := range 900 {
		version := uint64(1)
		switch {
		case b >= 302 && b < 310 || b == 500 || b == 501:
			continue
		case b == 3, b >= 299 && b < 302, b >= 880:
			version = 2
		}
		copy(want["base/5/16384"][b*8192:], testPage(version<<32|uint64(b)))
	}
	got, err := readAll(ctx, c, repo.Latest)
	must(t, err)
	for name := range want {
		if !bytes.Equal(want[name], got[name]) {
			t.Errorf("%s: differs", name)
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
}
