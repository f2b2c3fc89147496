package repo

import (
	"bytes"
	"context"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
)

// testSystem is the system identifier of the clusters in tests.
const testSystem = 7_300_000_000_000_000_001

func testInfo() ClusterInfo {
	return ClusterInfo{Name: "main", SystemIdentifier: testSystem, PGVersion: 150018, Geometry: pg.DefaultGeometry()}
}

// newTestCluster makes a repository in a new directory.
func newTestCluster(t testing.TB) *Cluster {
	t.Helper()
	st, err := OpenStore(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := Init(t.Context(), st, testInfo())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// testManifest is what a backup engine would hand to Commit.
func testManifest(id, parent string, start pg.LSN) *Manifest {
	_, kind, err := ParseID(id)
	if err != nil {
		panic(err)
	}
	at := time.Date(2026, 11, 23, 8, 38, 10, 0, time.UTC)
	return &Manifest{
		ID: id, Cluster: "main", Type: kind, Parent: parent, Status: StatusOK, Timeline: 1,
		StartLSN: start, StopLSN: start + 0x110, StartedAt: at, FinishedAt: at.Add(time.Minute),
		SystemIdentifier: testSystem, PGVersion: 150018, Geometry: pg.DefaultGeometry(),
		WAL: WALNeed{Mode: WALArchived, Segments: []string{"000000010000000000000002"}}, Version: "test",
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

// rel writes the blocks of runs as frames of at most perFrame pages and gives the entry of a relation of n blocks.
func rel(t testing.TB, w *PackWriter, path string, n pg.BlockNumber, version uint64, perFrame int, runs ...BlockRun) *File {
	t.Helper()
	f := &File{
		Path: path, Kind: KindRelation, Mode: 0o600, UID: 26, GID: 26, ModTime: time.Unix(1_790_000_000, 5).UTC(),
		Size: int64(n) * int64(pg.DefaultGeometry().BlockSize), Identity: Identity{Device: 8, Inode: 77, ModTime: 3},
	}
	var raw []byte
	var hashes []uint64
	var in []BlockRun
	flush := func() {
		if len(raw) == 0 {
			return
		}
		fr, err := w.WriteFrame(t.Context(), raw, hashes)
		if err != nil {
			t.Fatal(err)
		}
		fr.Runs = in
		f.Frames = append(f.Frames, fr)
		raw, hashes, in = nil, nil, nil
	}
	for _, r := range runs {
		for b := r.First; b < r.First+r.Count; b++ {
			p := testPage(version<<32 | uint64(b))
			raw = append(raw, p...)
			hashes = append(hashes, PageHash(p))
			if k := len(in); k > 0 && in[k-1].end() == uint64(b) {
				in[k-1].Count++
			} else {
				in = append(in, BlockRun{b, 1})
			}
			if len(hashes) == perFrame {
				flush()
			}
		}
	}
	flush()
	return f
}

// plain writes a file of bytes.
func plain(t testing.TB, w *PackWriter, path string, data []byte) *File {
	t.Helper()
	f := &File{Path: path, Kind: KindFile, Mode: 0o600, Size: int64(len(data)), Whole: true, Sum: xxhash.Sum64(data), ModTime: time.Unix(9, 0).UTC()}
	for len(data) > 0 {
		n := min(len(data), MaxFrame)
		fr, err := w.WriteFrame(t.Context(), data[:n], nil)
		if err != nil {
			t.Fatal(err)
		}
		f.Frames = append(f.Frames, fr)
		data = data[n:]
	}
	return f
}

// writeBackup stores a backup of what fill gives.
func writeBackup(t testing.TB, c *Cluster, m *Manifest, fill func(w *PackWriter) []*File) []*File {
	t.Helper()
	ctx := t.Context()
	b, err := c.CreateBackup(ctx, m.ID, Compression{Codec: CodecZstd})
	if err != nil {
		t.Fatal(err)
	}
	w := b.NewPackWriter()
	files := fill(w)
	must(t, w.Close(ctx))
	for _, f := range files {
		must(t, b.AppendFile(ctx, f))
	}
	must(t, b.PutControl(ctx, bytes.Repeat([]byte{7}, pg.ControlFileSize)))
	must(t, b.PutWAL(ctx, "000000010000000000000002", bytes.NewReader(make([]byte, 3<<20))))
	must(t, b.Commit(ctx, m))
	must(t, b.Abort(ctx))
	return files
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// content gives the bytes of a file of a chain, as a restore would write them.
func readChainFile(ctx context.Context, ch *Chain, cf *ChainFile) ([]byte, error) {
	g := pg.DefaultGeometry()
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
		if cf.Versions[0].Kind == KindFile {
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
