package compact

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

const (
	fabSystem  = 7_300_000_000_000_000_001
	fabSegment = "000000010000000000000002"
)

var lz4 = repo.Compression{Codec: repo.CodecLZ4}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// fabGeometry has small blocks, so that small files have many.
func fabGeometry() pg.Geometry {
	return pg.Geometry{BlockSize: 1024, RelSegBlocks: 131072, WALBlockSize: 8192, WALSegmentSize: 1 << 20}
}

// fabInfo is the entry of all clusters here.
func fabInfo() repo.ClusterInfo {
	return repo.ClusterInfo{Name: "main", SystemIdentifier: fabSystem, PGVersion: 150018, Geometry: fabGeometry()}
}

// fabPage is a page that follows from seed; seed 0 is a zero page.
func fabPage(seed uint64) pg.Page {
	p := make(pg.Page, fabGeometry().BlockSize)
	if seed == 0 {
		return p
	}
	rnd := rand.New(rand.NewPCG(seed, 1))
	for i := 0; i < len(p); i += 64 {
		binary.LittleEndian.PutUint64(p[i:], rnd.Uint64())
	}
	return p
}

// model is a data directory: seeds of pages, or bytes, by path.
type model struct {
	pages map[string][]uint64
	data  map[string][]byte
}

func (m model) clone() model {
	n := model{map[string][]uint64{}, maps.Clone(m.data)}
	for path, seeds := range m.pages {
		n.pages[path] = slices.Clone(seeds)
	}
	return n
}

// fab writes chains of random changes to a model.
type fab struct {
	t       testing.TB
	c       *repo.Cluster
	rnd     *rand.Rand
	perturb int // one of so many pages changes
	frame   int // most pages in a frame
	now     model
	states  map[string]model
	ids     []string
}

func newFab(t testing.TB, c *repo.Cluster, seed uint64, files, blocks int) *fab {
	f := &fab{
		t: t, c: c, rnd: rand.New(rand.NewPCG(seed, 2)), perturb: 10, frame: 128, states: map[string]model{},
		now: model{map[string][]uint64{}, map[string][]byte{}},
	}
	for i := range files {
		path := fmt.Sprintf("base/5/%d", 16384+i)
		f.now.pages[path] = make([]uint64, f.rnd.IntN(blocks+1))
	}
	f.now.data["PG_VERSION"] = []byte("15\n")
	f.now.data["base/5/pg_filenode.map"] = bytes.Repeat([]byte("map"), 400_000)
	f.now.data["empty"] = nil
	return f
}

// change makes the next state: pages change or become zeros, files grow, shrink, come and go.
func (f *fab) change() {
	f.now = f.now.clone()
	full := len(f.ids) == 0
	for path, seeds := range f.now.pages {
		switch {
		case full:
		case f.rnd.IntN(8) == 0:
			seeds = seeds[:f.rnd.IntN(len(seeds)+1)]
		case f.rnd.IntN(8) == 0:
			seeds = append(seeds, make([]uint64, f.rnd.IntN(70))...)
		}
		for i := range seeds {
			if full || f.rnd.IntN(f.perturb) == 0 {
				seeds[i] = uint64(f.rnd.IntN(20)) * f.rnd.Uint64()
			}
		}
		f.now.pages[path] = seeds
	}
	if !full && f.rnd.IntN(2) == 0 {
		f.now.data["PG_VERSION"] = fmt.Appendf(nil, "%d\n", f.rnd.IntN(99))
	}
	if !full && f.rnd.IntN(3) == 0 {
		f.now.pages[fmt.Sprintf("base/5/%d", 20000+len(f.ids))] = []uint64{1, 2, 3, 0}
	}
}

// take stores the next state, on parent unless that is "".
func (f *fab) take(ctx context.Context, parent string) (string, error) {
	before := f.states[parent]
	n := len(f.ids)
	at := time.Date(2026, 11, 23, 8, 38, n, 0, time.UTC)
	kind, suffix := repo.TypeFull, "F"
	if parent != "" {
		kind, suffix = repo.TypeIncremental, "I"
	}
	start := pg.LSN(0x2000028 + n<<24)
	m := &repo.Manifest{
		ID: at.Format("20060102T150405Z-") + suffix, Cluster: "main", Type: kind, Parent: parent, Status: repo.StatusOK,
		Timeline: 1, StartLSN: start, StopLSN: start + 0x110, StartedAt: at, FinishedAt: at.Add(time.Minute),
		SystemIdentifier: fabSystem, PGVersion: 150018, Geometry: fabGeometry(), Compression: "lz4",
		WAL: repo.WALNeed{Mode: repo.WALCarried, Segments: []string{fabSegment}}, Version: "test", BackupLabel: "label",
		Annotations: map[string]string{"n": fmt.Sprint(n)}, SizeBytes: 77, FilesTotal: 5, BlocksTotal: 99, BytesRead: 5,
	}
	b, err := f.c.CreateBackup(ctx, m.ID, lz4)
	if err != nil {
		return "", err
	}
	w := b.NewPackWriter()
	paths := append(slices.Collect(maps.Keys(f.now.pages)), slices.Collect(maps.Keys(f.now.data))...)
	paths = append(paths, "base")
	slices.SortFunc(paths, pg.ComparePaths)
	for _, path := range paths {
		file, err := f.file(ctx, w, path, before)
		if err == nil {
			err = b.AppendFile(ctx, file)
		}
		must(f.t, err)
	}
	must(f.t, w.Close(ctx), b.PutControl(ctx, bytes.Repeat([]byte{byte(n)}, pg.ControlFileSize)),
		b.PutWAL(ctx, fabSegment, bytes.NewReader(make([]byte, 70_000))), b.Commit(ctx, m))
	f.ids, f.states[m.ID] = append(f.ids, m.ID), f.now
	return m.ID, nil
}

// file stores what differs from the state before.
func (f *fab) file(ctx context.Context, w *repo.PackWriter, path string, before model) (*repo.File, error) {
	file := &repo.File{
		Path: path, Mode: 0o600, UID: 26, ModTime: time.Unix(1_790_000_000+int64(len(f.ids)), 5).UTC(),
		Identity: repo.Identity{Device: 8, Inode: f.rnd.Uint64(), BirthTime: 4, ChangeTime: 6, ModTime: 3},
	}
	seeds, isPages := f.now.pages[path]
	data, isData := f.now.data[path]
	switch {
	case isData:
		file.Kind, file.Size, file.Sum = repo.KindFile, int64(len(data)), xxhash.Sum64(data)
		old, had := before.data[path]
		file.Whole = !had || !bytes.Equal(old, data)
		for rest := data; file.Whole && len(rest) > 0; {
			n := min(len(rest), repo.MaxFrame)
			fr, err := w.WriteFrame(ctx, rest[:n], nil)
			if err != nil {
				return nil, err
			}
			file.Frames, rest = append(file.Frames, fr), rest[n:]
		}
		return file, nil
	case !isPages:
		file.Kind, file.Mode = repo.KindDir, 0o700
		return file, nil
	}
	old, had := before.pages[path]
	file.Kind, file.Size = repo.KindRelation, int64(len(seeds))*int64(fabGeometry().BlockSize)
	file.Whole = !had
	return file, f.blocks(ctx, w, file, seeds, old)
}

func (f *fab) blocks(ctx context.Context, w *repo.PackWriter, file *repo.File, seeds, old []uint64) error {
	var raw []byte
	var hashes []uint64
	var runs []repo.BlockRun
	flush := func() error {
		if len(raw) == 0 {
			return nil
		}
		fr, err := w.WriteFrame(ctx, raw, hashes)
		fr.Runs = runs
		file.Frames = append(file.Frames, fr)
		raw, hashes, runs = nil, nil, nil
		return err
	}
	for i, seed := range seeds {
		one := repo.BlockRun{First: pg.BlockNumber(i), Count: 1}
		switch {
		case i < len(old) && old[i] == seed:
			continue
		case seed == 0:
			file.Zero = appendRun(file.Zero, one)
			continue
		}
		p := fabPage(seed)
		raw, hashes, runs = append(raw, p...), append(hashes, repo.PageHash(p)), appendRun(runs, one)
		if len(hashes) >= 1+f.rnd.IntN(f.frame) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

// chain stores a full backup and so many incrementals.
func (f *fab) chain(n int) {
	f.t.Helper()
	parent := ""
	for range n + 1 {
		f.change()
		var err error
		parent, err = f.take(f.t.Context(), parent)
		must(f.t, err)
	}
}

// check reads a backup through its chain and compares it with its state.
func (f *fab) check(c *repo.Cluster, id string, want model) (chain []string) {
	t, ctx := f.t, f.t.Context()
	t.Helper()
	m, err := c.Backup(ctx, id)
	must(t, err)
	ch, err := c.OpenChain(ctx, m)
	must(t, err)
	defer func() { must(t, ch.Close()) }()
	for _, b := range ch.Backups {
		chain = append(chain, b.Manifest.ID)
	}
	seen := 0
	for cf, err := range ch.Files(ctx) {
		must(t, err)
		if cf.Versions[0].Kind == repo.KindDir {
			continue
		}
		seen++
		w := slices.Clone(want.data[cf.Path])
		if seeds, ok := want.pages[cf.Path]; ok {
			w = nil
			hashes, err := cf.PageHashes(ctx, ch, fabGeometry())
			must(t, err)
			for i, seed := range seeds {
				p := fabPage(seed)
				w = append(w, p...)
				if hashes[i] != repo.PageHash(p) {
					t.Errorf("%s: %s: hash of block %d", id, cf.Path, i)
				}
			}
		}
		if !bytes.Equal(read(ctx, t, ch, cf), w) {
			t.Errorf("%s: %s: other content", id, cf.Path)
		}
	}
	if n := len(want.data) + len(want.pages); seen != n {
		t.Errorf("%s: %d files, want %d", id, seen, n)
	}
	v := c.NewVerifier(2, func(p repo.Problem) { t.Error(p) })
	if ok, err := v.Backup(ctx, m); !ok || err != nil {
		t.Errorf("%s: does not verify: %v", id, err)
	}
	return chain
}

// read gives the bytes of a file as a restore would write them.
func read(ctx context.Context, t testing.TB, ch *repo.Chain, cf *repo.ChainFile) []byte {
	t.Helper()
	bs := int64(fabGeometry().BlockSize)
	pieces, _, err := cf.Resolve(fabGeometry())
	must(t, err)
	out := make([]byte, cf.Versions[0].Size)
	for _, p := range pieces {
		raw, err := ch.Backups[p.Depth].ReadFrame(ctx, p.Frame, nil)
		must(t, err)
		if cf.Versions[0].Kind == repo.KindFile {
			copy(out[p.Offset:], raw)
			continue
		}
		at := map[pg.BlockNumber][]byte{}
		for _, r := range p.Frame.Runs {
			for b := range r.Count {
				at[r.First+b], raw = raw[:bs], raw[bs:]
			}
		}
		for _, r := range p.Runs {
			for b := range r.Count {
				copy(out[int64(r.First+b)*bs:], at[r.First+b])
			}
		}
	}
	return out
}

// options are those of most tests.
func options() Options {
	return Options{
		Jobs: 3, Version: "compacter", Log: slog.New(slog.NewTextHandler(io.Discard, nil)), Progress: new(Progress),
		Clock: func() time.Time { return time.Unix(1_800_000_000, 0) },
	}
}

// compact compacts the backup with this id.
func compact(ctx context.Context, c *repo.Cluster, id string, o Options) (*Result, error) {
	m, err := c.Backup(ctx, id)
	if err != nil {
		return nil, err
	}
	return Run(ctx, c, m, o)
}

// remove removes backups.
func remove(ctx context.Context, c *repo.Cluster, ids ...string) error {
	r, err := c.NewRemover(ctx)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := r.Backup(ctx, id); err != nil {
			return errors.Join(err, r.Close())
		}
	}
	return r.Close()
}
