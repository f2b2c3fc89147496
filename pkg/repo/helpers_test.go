package repo_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

const (
	// testSystem is the system identifier of the clusters in tests.
	testSystem = 7_300_000_000_000_000_001

	fullID = "20261123T083810Z-F"
	incrID = "20261123T083811Z-I"
	walSeg = "000000010000000000000002"
)

var zstd = repo.Compression{Codec: repo.CodecZstd}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func testInfo() repo.ClusterInfo {
	return repo.ClusterInfo{Name: "main", SystemIdentifier: testSystem, PGVersion: 150018, Geometry: pg.DefaultGeometry()}
}

// newTestStore gives a store on a new directory.
func newTestStore(t testing.TB) repo.Store {
	t.Helper()
	st, err := repo.OpenStore(t.Context(), t.TempDir())
	must(t, err)
	return st
}

// newTestCluster makes a cluster's entry.
func newTestCluster(t testing.TB, st repo.Store) *repo.Cluster {
	t.Helper()
	c, _, err := repo.Init(t.Context(), st, testInfo())
	must(t, err)
	return c
}

// testManifest is what a backup engine would hand to Commit.
func testManifest(id, parent string, start pg.LSN) *repo.Manifest {
	begun, kind, err := repo.ParseID(id)
	if err != nil {
		panic(err)
	}
	return &repo.Manifest{
		ID: id, Cluster: "main", Type: kind, Parent: parent, Status: repo.StatusOK, Timeline: 1,
		StartLSN: start, StopLSN: start + 0x110, StartedAt: begun, FinishedAt: begun.Add(time.Minute),
		SystemIdentifier: testSystem, PGVersion: 150018, Geometry: pg.DefaultGeometry(),
		WAL: repo.WALNeed{Mode: repo.WALCarried, Segments: []string{walSeg}}, Version: "test",
		BackupLabel: "label",
	}
}

// testPage is a page whose content follows from seed; it compresses about as real pages do.
func testPage(seed uint64) pg.Page {
	p := make(pg.Page, pg.DefaultGeometry().BlockSize)
	rnd := rand.New(rand.NewPCG(seed, 1))
	for i := 0; i < len(p); i += 32 {
		binary.LittleEndian.PutUint64(p[i:], rnd.Uint64())
	}
	binary.LittleEndian.PutUint16(p[10:], uint16(seed%2)*4) // PD_ALL_VISIBLE on every other page
	return p
}

// run is the blocks [first, first+count).
func run(first, count pg.BlockNumber) repo.BlockRun { return repo.BlockRun{First: first, Count: count} }

// rel writes the blocks of runs as frames of at most perFrame pages and gives the entry of
// a relation of n blocks. The content of a page follows from its version and number.
func rel(
	ctx context.Context, w *repo.PackWriter, path string, n pg.BlockNumber, version uint64, perFrame int,
	runs ...repo.BlockRun,
) (*repo.File, error) {
	f := &repo.File{
		Path: path, Kind: repo.KindRelation, Mode: 0o600, UID: 26, GID: 26, ModTime: time.Unix(1_790_000_000, 5).UTC(),
		Size: int64(n) * int64(pg.DefaultGeometry().BlockSize), Identity: repo.Identity{Device: 8, Inode: 77, ModTime: 3},
	}
	var raw []byte
	var hashes []uint64
	var in []repo.BlockRun
	flush := func() error {
		if len(raw) == 0 {
			return nil
		}
		fr, err := w.WriteFrame(ctx, raw, hashes)
		fr.Runs = in
		f.Frames = append(f.Frames, fr)
		raw, hashes, in = nil, nil, nil
		return err
	}
	for _, r := range runs {
		for b := r.First; b < r.First+r.Count; b++ {
			p := testPage(version<<32 | uint64(b))
			raw = append(raw, p...)
			hashes = append(hashes, repo.PageHash(p))
			if k := len(in); k > 0 && in[k-1].First+in[k-1].Count == b {
				in[k-1].Count++
			} else {
				in = append(in, run(b, 1))
			}
			if len(hashes) < perFrame {
				continue
			}
			if err := flush(); err != nil {
				return nil, err
			}
		}
	}
	return f, flush()
}

// plain writes a file of bytes.
func plain(ctx context.Context, w *repo.PackWriter, path string, data []byte) (*repo.File, error) {
	f := &repo.File{
		Path: path, Kind: repo.KindFile, Mode: 0o600, Size: int64(len(data)), Whole: true,
		Sum: xxhash.Sum64(data), ModTime: time.Unix(9, 0).UTC(),
	}
	for len(data) > 0 {
		n := min(len(data), repo.MaxFrame)
		fr, err := w.WriteFrame(ctx, data[:n], nil)
		if err != nil {
			return nil, err
		}
		f.Frames = append(f.Frames, fr)
		data = data[n:]
	}
	return f, nil
}

// fill writes the content of a backup and gives its entries.
type fill func(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error)

// store writes and commits a backup. After a failure it is aborted, as an engine does.
func store(ctx context.Context, c *repo.Cluster, m *repo.Manifest, fill fill) (files []*repo.File, err error) {
	b, err := c.CreateBackup(ctx, m.ID, zstd)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.Abort(ctx))
		}
	}()
	w := b.NewPackWriter()
	if files, err = fill(ctx, w); err != nil {
		return nil, err
	}
	if err := closeWith(ctx, b, w, files); err != nil {
		return nil, err
	}
	return files, b.Commit(ctx, m)
}

// closeWith ends the packs of a backup, and puts its files, a control file and WAL into it.
func closeWith(ctx context.Context, b *repo.BackupWriter, w *repo.PackWriter, files []*repo.File) error {
	if err := w.Close(ctx); err != nil {
		return err
	}
	for _, f := range files {
		if err := b.AppendFile(ctx, f); err != nil {
			return err
		}
	}
	if err := b.PutControl(ctx, bytes.Repeat([]byte{7}, pg.ControlFileSize)); err != nil {
		return err
	}
	return b.PutWAL(ctx, walSeg, bytes.NewReader(make([]byte, 70_000)))
}

// smallFull is a full backup of three objects of a few kilobytes.
func smallFull(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
	version, err1 := plain(ctx, w, "PG_VERSION", []byte("15\n"))
	r, err2 := rel(ctx, w, "base/5/16384", 6, 1, 2, run(0, 2), run(3, 3))
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	r.Whole, r.Zero = true, []repo.BlockRun{run(2, 1)}
	return []*repo.File{version, {Path: "base", Kind: repo.KindDir, Mode: 0o700}, r}, nil
}

// smallIncr goes with smallFull.
func smallIncr(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
	r, err := rel(ctx, w, "base/5/16384", 5, 2, 2, run(1, 1))
	if err != nil {
		return nil, err
	}
	same := &repo.File{Path: "PG_VERSION", Kind: repo.KindFile, Size: 3, Sum: xxhash.Sum64String("15\n")}
	return []*repo.File{same, {Path: "base", Kind: repo.KindDir, Mode: 0o700}, r}, nil
}

// storeSmallChain stores both.
func storeSmallChain(t testing.TB, c *repo.Cluster) {
	t.Helper()
	_, err := store(t.Context(), c, testManifest(fullID, "", 0x2000028), smallFull)
	must(t, err)
	_, err = store(t.Context(), c, testManifest(incrID, fullID, 0x3000028), smallIncr)
	must(t, err)
}

// readChainFile gives the bytes of a file of a chain, as a restore would write them.
func readChainFile(ctx context.Context, ch *repo.Chain, cf *repo.ChainFile) ([]byte, error) {
	g := ch.Backups[0].Manifest.Geometry
	pieces, _, err := cf.Resolve(g)
	if err != nil {
		return nil, err
	}
	out := make([]byte, cf.Versions[0].Size)
	var raw []byte
	for _, p := range pieces {
		if raw, err = ch.Backups[p.Depth].ReadFrame(ctx, p.Frame, raw); err != nil {
			return nil, err
		}
		if cf.Versions[0].Kind == repo.KindFile {
			copy(out[p.Offset:], raw)
			continue
		}
		at := map[pg.BlockNumber][]byte{}
		rest := raw
		for _, r := range p.Frame.Runs {
			for b := range r.Count {
				at[r.First+b], rest = rest[:g.BlockSize], rest[g.BlockSize:]
			}
		}
		for _, r := range p.Runs {
			for b := range r.Count {
				copy(out[int64(r.First+b)*int64(g.BlockSize):], at[r.First+b])
			}
		}
	}
	return out, nil
}

// checkSums compares a file's content with what the chain says of it: content checksum or
// page hashes.
func checkSums(ctx context.Context, ch *repo.Chain, cf *repo.ChainFile, data []byte) error {
	switch cf.Versions[0].Kind {
	case repo.KindDir, repo.KindLink:
	case repo.KindFile:
		if xxhash.Sum64(data) != cf.Versions[0].Sum {
			return repo.ErrCorrupt
		}
	case repo.KindRelation:
		g := ch.Backups[0].Manifest.Geometry
		hashes, err := cf.PageHashes(ctx, ch, g)
		if err != nil {
			return err
		}
		if len(hashes)*int(g.BlockSize) != len(data) {
			return fmt.Errorf("%s: %d hashes for %d bytes", cf.Path, len(hashes), len(data))
		}
		for b, h := range hashes {
			if h != repo.PageHash(pg.Page(data[b*int(g.BlockSize):][:g.BlockSize])) {
				return fmt.Errorf("%s: the hash of block %d is another page's", cf.Path, b)
			}
		}
	}
	return nil
}

// readAll reads a backup as a restore does: chain, every file, control file and carried WAL.
func readAll(ctx context.Context, c *repo.Cluster, id string) (map[string][]byte, error) {
	m, err := c.Backup(ctx, id)
	if err != nil {
		return nil, err
	}
	ch, err := c.OpenChain(ctx, m)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for cf, err := range ch.Files(ctx) {
		if err == nil {
			files[cf.Path], err = readChainFile(ctx, ch, cf)
		}
		if err == nil {
			err = checkSums(ctx, ch, cf, files[cf.Path])
		}
		if err != nil {
			return nil, errors.Join(err, ch.Close())
		}
	}
	files["control"], err = ch.Backups[0].Control(ctx)
	for _, name := range m.WAL.Segments {
		if err != nil {
			break
		}
		files[name], err = readWAL(ctx, ch.Backups[0].OpenWAL, name)
	}
	return files, errors.Join(err, ch.Close())
}

// fsWalk gives every file.
func fsWalk(root fs.FS, f func(name string, data []byte) error) error {
	return fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(root, name)
		if err != nil || path.Ext(name) == ".key" {
			return err
		}
		return f(name, data)
	})
}
