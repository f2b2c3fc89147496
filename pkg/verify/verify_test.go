package verify_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/verify"
)

const (
	fullID  = "20261123T080000Z-F"
	firstID = "20261123T090000Z-I"
	lastID  = "20261123T100000Z-I"
	segment = "000000010000000000000002"
)

// fixture is a repository on a directory with a chain of three backups.
type fixture struct {
	dir     string
	cluster *repo.Cluster
}

// newFixture stores a full backup and two incrementals: blocks 0 to 7 of base/5/16384, of which the
// first replaces block 1 and the last block 2 and 1; WAL is archived for the first two and carried by the last.
func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{dir: t.TempDir()}
	_, system := controlFile(t)
	st, err := repo.OpenStore(t.Context(), f.dir)
	must(t, err)
	f.cluster, _, err = repo.Init(t.Context(), st, repo.ClusterInfo{
		Name: "main", SystemIdentifier: system, PGVersion: 150018, Geometry: pg.DefaultGeometry(),
	})
	must(t, err)
	archive := f.cluster.WAL(repo.Compression{Codec: repo.CodecZstd})
	must(t, archive.Put(t.Context(), segment, bytes.NewReader(make([]byte, 1<<20))))
	f.store(t, fullID, "", 0x2000028, [][]pg.BlockNumber{{0, 1, 2, 3}, {4, 5, 6, 7}})
	f.store(t, firstID, fullID, 0x2000100, [][]pg.BlockNumber{{1}})
	f.store(t, lastID, firstID, 0x2000200, [][]pg.BlockNumber{{1, 2}})
	return f
}

// store writes one backup whose relation has the given blocks, a frame for each list.
func (f *fixture) store(t *testing.T, id, parent string, start pg.LSN, frames [][]pg.BlockNumber) {
	t.Helper()
	ctx := t.Context()
	b, err := f.cluster.CreateBackup(ctx, id, repo.Compression{Codec: repo.CodecZstd})
	must(t, err)
	w := b.NewPackWriter()
	g := pg.DefaultGeometry()
	rel := &repo.File{
		Path: "base/5/16384", Kind: repo.KindRelation, Mode: 0o600, ModTime: time.Unix(9, 0).UTC(),
		Size: 8 * int64(g.BlockSize), Whole: parent == "",
	}
	for _, blocks := range frames {
		var raw []byte
		var hashes []uint64
		var runs []repo.BlockRun
		for _, blk := range blocks {
			p := page(uint64(start)<<8 | uint64(blk))
			raw = append(raw, p...)
			hashes = append(hashes, repo.PageHash(p))
			if n := len(runs); n > 0 && runs[n-1].First+runs[n-1].Count == blk {
				runs[n-1].Count++
			} else {
				runs = append(runs, repo.BlockRun{First: blk, Count: 1})
			}
		}
		fr, err := w.WriteFrame(ctx, raw, hashes)
		must(t, err)
		fr.Runs = runs
		rel.Frames = append(rel.Frames, fr)
	}
	content := []byte("15\n")
	fr, err := w.WriteFrame(ctx, content, nil)
	must(t, err)
	version := &repo.File{
		Path: "PG_VERSION", Kind: repo.KindFile, Mode: 0o600, ModTime: time.Unix(9, 0).UTC(),
		Size: 3, Whole: true, Sum: xxhash.Sum64(content), Frames: []repo.Frame{fr},
	}
	must(t, w.Close(ctx))
	dirs := func(path string) *repo.File {
		return &repo.File{Path: path, Kind: repo.KindDir, Mode: 0o700, ModTime: time.Unix(9, 0).UTC()}
	}
	for _, file := range []*repo.File{version, dirs("base"), dirs("base/5"), rel} {
		must(t, b.AppendFile(ctx, file))
	}
	control, system := controlFile(t)
	must(t, b.PutControl(ctx, control))
	m := &repo.Manifest{
		ID: id, Cluster: "main", Type: repo.TypeFull, Parent: parent, Status: repo.StatusOK, Timeline: 1,
		StartLSN: start, StopLSN: start + 0x50, StartedAt: time.Unix(1_790_000_000, 0).UTC(),
		FinishedAt: time.Unix(1_790_000_060, 0).UTC(), SystemIdentifier: system, PGVersion: 150018,
		Geometry: g, BackupLabel: "label", Version: "test",
		WAL: repo.WALNeed{Mode: repo.WALArchived, Segments: []string{segment}},
	}
	if parent != "" {
		m.Type = repo.TypeIncremental
	}
	if id == lastID {
		m.WAL.Mode = repo.WALCarried
		must(t, b.PutWAL(ctx, segment, bytes.NewReader(make([]byte, 1<<20))))
	}
	must(t, b.Commit(ctx, m))
	must(t, b.Abort(ctx))
}

func page(seed uint64) pg.Page {
	p := make(pg.Page, pg.DefaultGeometry().BlockSize)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for i := 0; i < len(p); i += 32 {
		binary.LittleEndian.PutUint64(p[i:], rnd.Uint64())
	}
	return p
}

// controlFile is that of a server 15, and its system identifier.
func controlFile(t *testing.T) ([]byte, uint64) {
	t.Helper()
	b, err := os.ReadFile("../pg/testdata/pg_control.15")
	must(t, err)
	b = append(b, make([]byte, pg.ControlFileSize-len(b))...) // kept without the zeros behind it
	c, err := pg.ParseControl(b)
	must(t, err)
	return b, c.SystemIdentifier
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, f *fixture, ids ...string) *verify.Result {
	t.Helper()
	r, err := verify.Run(t.Context(), f.cluster, verify.Options{IDs: ids, Jobs: 2})
	must(t, err)
	return r
}

func condemned(r *verify.Result) []string {
	var ids []string
	for _, b := range r.Backups {
		if !b.OK {
			ids = append(ids, b.ID)
		}
	}
	return ids
}

// A whole repository passes, and everything in it was read.
func TestWhole(t *testing.T) {
	r := run(t, newFixture(t))
	if !r.OK || len(r.Backups) != 3 || len(condemned(r)) != 0 {
		t.Fatalf("%+v", r)
	}
	last := r.Backups[2]
	if diff := cmp.Diff([]string{fullID, firstID, lastID}, last.Chain); diff != "" {
		t.Error(diff)
	}
	if last.Files != 4 || last.Frames != 2 || last.Bytes == 0 {
		t.Errorf("%+v", last)
	}
}

// What was named is verified together with what it is built on, and nothing else.
func TestChosen(t *testing.T) {
	f := newFixture(t)
	for id, want := range map[string]int{fullID: 1, firstID: 2, "latest": 3, "latest-full": 1} {
		if r := run(t, f, id); len(r.Backups) != want {
			t.Errorf("%s: %d backups, want %d", id, len(r.Backups), want)
		}
	}
	if _, err := verify.Run(t.Context(), f.cluster, verify.Options{IDs: []string{"20200101T000000Z-F"}}); err == nil {
		t.Error("a backup that is not there was verified")
	}
}

// A bad frame of the full backup condemns the backups that need one of its
// blocks and names file and backup; who has newer versions of all its blocks is whole.
func TestBadFrame(t *testing.T) {
	f := newFixture(t)
	frames := f.frames(t, firstID) // block 1, which the last backup has anew
	f.damage(t, firstID, frames[0].Offset+int64(frames[0].Stored)-9)
	r := run(t, f)
	if diff := cmp.Diff([]string{firstID}, condemned(r)); diff != "" {
		t.Error(diff)
	}
	p := r.Backups[1].Problems
	if len(p) != 1 || p[0].Path != "base/5/16384" || p[0].In != firstID || p[0].Cause == "" {
		t.Errorf("%+v", p)
	}

	f = newFixture(t)
	frames = f.frames(t, fullID)
	f.damage(t, fullID, frames[1].Offset+int64(frames[1].Stored)-9) // blocks 4 to 7, which nobody has anew
	if diff := cmp.Diff([]string{fullID, firstID, lastID}, condemned(run(t, f))); diff != "" {
		t.Error(diff)
	}
}

// frames gives those of the relation.
func (f *fixture) frames(t *testing.T, id string) []repo.Frame {
	t.Helper()
	m, err := f.cluster.Backup(t.Context(), id)
	must(t, err)
	r, err := f.cluster.OpenBackup(t.Context(), m)
	must(t, err)
	for file, err := range r.Files(t.Context()) {
		must(t, err)
		if file.Kind == repo.KindRelation {
			must(t, r.Close())
			return file.Frames
		}
	}
	t.Fatal("no relation")
	return nil
}

// damage flips a bit of a backup's only pack.
func (f *fixture) damage(t *testing.T, id string, offset int64) {
	t.Helper()
	packs, err := filepath.Glob(filepath.Join(f.dir, "main", "backups", id, "*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatal(packs, err)
	}
	flip(t, packs[0], offset)
}

func flip(t *testing.T, path string, offset int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.Chmod(path, 0o600))
	b[offset] ^= 0x10
	must(t, os.WriteFile(path, b, 0o600))
}

// Archived WAL that a backup needs is part of it; WAL that a backup carries is its own.
func TestMissingWAL(t *testing.T) {
	f := newFixture(t)
	must(t, os.Remove(filepath.Join(f.dir, "main", "wal", segment[:8], segment)))
	r := run(t, f)
	if diff := cmp.Diff([]string{fullID, firstID}, condemned(r)); diff != "" {
		t.Errorf("%s\n%+v", diff, r.Backups[2])
	}
}

// No byte below a backup's name can change, and no object go, without somebody being condemned for it.
func TestEveryByteCounts(t *testing.T) {
	f := newFixture(t)
	root := filepath.Join(f.dir, "main", "backups")
	rnd := rand.New(rand.NewPCG(1, 2))
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		whole, err := os.ReadFile(path)
		must(t, err)
		must(t, os.Chmod(path, 0o600))
		for range 12 {
			offset := rnd.Int64N(int64(len(whole)))
			flip(t, path, offset)
			if r := run(t, f); r.OK {
				t.Errorf("%s: offset %d of %d: a changed byte passes", path, offset, len(whole))
			}
			must(t, os.WriteFile(path, whole, 0o600))
		}
		must(t, os.WriteFile(path, whole[:len(whole)-1], 0o600))
		if r := run(t, f); r.OK {
			t.Errorf("%s: a missing last byte passes", path)
		}
		if filepath.Base(path) != "manifest.json" { // without it there is no backup
			must(t, os.Remove(path))
			if r := run(t, f); r.OK {
				t.Errorf("%s: can be missing", path)
			}
		}
		must(t, os.WriteFile(path, whole, 0o600))
		return nil
	})
	must(t, err)
	if r := run(t, f); !r.OK {
		t.Errorf("not whole again: %+v", r)
	}
}

// An interrupted verification is an error, not a verdict.
func TestInterrupted(t *testing.T) {
	f := newFixture(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if r, err := verify.Run(ctx, f.cluster, verify.Options{}); err == nil {
		t.Errorf("%+v", r)
	}
}
