package restore

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

const (
	fabSystem  = 7_300_000_000_000_000_001
	fabCatalog = 202209061 // PostgreSQL 15
	fabSpace   = "pg_tblspc/16400/PG_15_202209061"
)

// fabGeometry has small blocks and WAL segments, so that small files have many.
func fabGeometry() pg.Geometry {
	return pg.Geometry{BlockSize: 1024, RelSegBlocks: 131072, WALBlockSize: 8192, WALSegmentSize: 1 << 20}
}

// modelFile is a file as the restored directory is to have it.
type modelFile struct {
	pages []uint64 // of a relation: the seed of each page, 0 for a zero page
	data  []byte   // of any other file, if pages is nil
	mode  uint32
	mtime time.Time
}

func (f *modelFile) content() []byte {
	if f.pages == nil {
		return f.data
	}
	var b []byte
	for _, seed := range f.pages {
		b = append(b, fabPage(seed)...)
	}
	return b
}

// model is a data directory: its files by path.
type model map[string]*modelFile

// fabPage is a page that follows from seed.
func fabPage(seed uint64) []byte {
	p := make([]byte, fabGeometry().BlockSize)
	if seed == 0 {
		return p
	}
	for i := 0; i < len(p); i += 64 {
		binary.LittleEndian.PutUint64(p[i:], seed*0x9E3779B97F4A7C15+uint64(i))
	}
	return p
}

// fabControl is a pg_control that parses.
func fabControl(system uint64) []byte {
	b := make([]byte, pg.ControlFileSize)
	le := binary.LittleEndian
	le.PutUint64(b, system)
	le.PutUint32(b[8:], 1300)
	le.PutUint32(b[12:], fabCatalog)
	le.PutUint32(b[48:], 1)
	le.PutUint64(b[208:], math.Float64bits(1234567))
	g := fabGeometry()
	le.PutUint32(b[216:], g.BlockSize)
	le.PutUint32(b[220:], g.RelSegBlocks)
	le.PutUint32(b[224:], g.WALBlockSize)
	le.PutUint32(b[228:], g.WALSegmentSize)
	le.PutUint32(b[288:], pg.CRC32C(b[:288]))
	return b
}

// fab writes backups of models through package repo.
type fab struct {
	t       testing.TB
	store   repo.Store
	cluster *repo.Cluster
	space   string // where the tablespace was
	mode    string // of WAL
	config  []repo.ConfigContent
	count   int
	prev    model
	parent  *repo.Manifest
	// frame gives the number of pages of the next frame.
	frame func() int
}

// newFab makes a repository. wrap, if not nil, stands between it and its store.
func newFab(t testing.TB, wrap func(repo.Store) repo.Store) *fab {
	t.Helper()
	st, err := repo.OpenStore(t.Context(), pgtest.TempDir(t))
	must(t, err)
	if wrap != nil {
		st = wrap(st)
	}
	info := repo.ClusterInfo{Name: "main", SystemIdentifier: fabSystem, PGVersion: 150018, Geometry: fabGeometry()}
	c, _, err := repo.Init(t.Context(), st, info)
	must(t, err)
	return &fab{
		t: t, store: st, cluster: c, space: "/nowhere/space", mode: repo.WALCarried,
		frame: func() int { return 128 },
	}
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// dirs are the directories that every index of a fab has.
func (fb *fab) dirs() []*repo.File {
	var files []*repo.File
	for _, p := range []string{
		".", "base", "base/1", "global", "log", "pg_tblspc", fabSpace, fabSpace + "/1", "pg_wal",
		"pg_wal/archive_status",
	} {
		files = append(files, &repo.File{
			Path: p, Kind: repo.KindDir, Mode: 0o750, UID: uint32(os.Getuid()),
			GID: uint32(os.Getgid()), ModTime: time.Unix(5, 0).UTC(),
		})
	}
	return append(files, &repo.File{
		Path: "pg_tblspc/16400", Kind: repo.KindLink, Link: fb.space, Mode: 0o777,
		ModTime: time.Unix(5, 0).UTC(),
	})
}

// add stores a backup of m: a full one, or an incremental one on the backup before.
func (fb *fab) add(m model) *repo.Manifest {
	fb.t.Helper()
	ctx := fb.t.Context()
	mf := fb.manifest()
	b, err := fb.cluster.CreateBackup(ctx, mf.ID, repo.Compression{Codec: repo.CodecZstd})
	must(fb.t, err)
	packs := []*repo.PackWriter{b.NewPackWriter(), b.NewPackWriter()}
	files := fb.dirs()
	for i, p := range slices.Sorted(maps.Keys(m)) {
		files = append(files, fb.file(packs[i%len(packs)], p, m[p]))
	}
	for _, w := range packs {
		must(fb.t, w.Close(ctx))
	}
	slices.SortFunc(files, func(a, b *repo.File) int { return pg.ComparePaths(a.Path, b.Path) })
	for _, f := range files {
		must(fb.t, b.AppendFile(ctx, f))
	}
	must(fb.t, b.PutControl(ctx, fabControl(fabSystem)))
	mf.Configuration, err = b.PutConfiguration(ctx, fb.config)
	must(fb.t, err)
	for _, name := range mf.WAL.Segments {
		segment := bytes.Repeat([]byte{byte(fb.count)}, int(fabGeometry().WALSegmentSize))
		if fb.mode == repo.WALCarried {
			must(fb.t, b.PutWAL(ctx, name, bytes.NewReader(segment)))
		} else {
			must(fb.t, fb.cluster.WAL(repo.Compression{Codec: repo.CodecZstd}).Put(ctx, name, bytes.NewReader(segment)))
		}
	}
	must(fb.t, b.Commit(ctx, mf))
	fb.prev, fb.parent = m, mf
	return mf
}

func (fb *fab) manifest() *repo.Manifest {
	fb.count++
	kind, id := repo.TypeFull, fmt.Sprintf("20261123T08%02d%02dZ-F", fb.count/60, fb.count%60)
	parent := ""
	if fb.parent != nil {
		kind, id, parent = repo.TypeIncremental, strings.TrimSuffix(id, "F")+"I", fb.parent.ID
	}
	start := pg.LSN(fb.count*0x200000 + 0x28)
	g := fabGeometry()
	segment := g.WALFileName(1, g.SegmentOf(start))
	at := time.Date(2026, 11, 23, 8, fb.count, 0, 0, time.UTC)
	return &repo.Manifest{
		ID: id, Cluster: "main", Type: kind, Parent: parent, Status: repo.StatusOK, Timeline: 1,
		StartLSN: start, StopLSN: start + 0x110, StartedAt: at, FinishedAt: at.Add(30 * time.Second),
		SystemIdentifier: fabSystem, PGVersion: 150018, CatalogVersion: fabCatalog, ControlVersion: 1300, Geometry: g,
		Version:       "test",
		DataDirectory: "/original", WAL: repo.WALNeed{Mode: fb.mode, Segments: []string{segment}},
		Tablespaces: []pg.TablespaceLink{{OID: 16400, Path: fb.space}},
		BackupLabel: fmt.Sprintf("START WAL LOCATION: %s (file %s)\nCHECKPOINT LOCATION: %s\nBACKUP METHOD: streamed\n"+
			"BACKUP FROM: primary\nSTART TIME: 2026-11-23 08:00:00 UTC\nLABEL: x\nSTART TIMELINE: 1\n", start, segment,
			start+0x38),
	}
}

// file stores what changed of a file since the backup before.
func (fb *fab) file(w *repo.PackWriter, path string, m *modelFile) *repo.File {
	f := &repo.File{Path: path, Mode: m.mode, UID: uint32(os.Getuid()), GID: uint32(os.Getgid()), ModTime: m.mtime}
	old := fb.prev[path]
	if m.pages == nil {
		f.Kind, f.Size, f.Sum = repo.KindFile, int64(len(m.data)), xxhash.Sum64(m.data)
		if old != nil && old.pages == nil && bytes.Equal(old.data, m.data) {
			return f
		}
		f.Whole = true
		for data := m.data; len(data) > 0; {
			n := min(len(data), fb.frame()*int(fabGeometry().BlockSize))
			fr, err := w.WriteFrame(fb.t.Context(), data[:n], nil)
			must(fb.t, err)
			f.Frames, data = append(f.Frames, fr), data[n:]
		}
		return f
	}
	f.Kind, f.Size = repo.KindRelation, int64(len(m.pages))*int64(fabGeometry().BlockSize)
	f.Whole = old == nil || old.pages == nil
	var blocks []pg.BlockNumber
	for i, seed := range m.pages {
		switch {
		case !f.Whole && i < len(old.pages) && old.pages[i] == seed:
		case seed == 0:
			f.Zero = appendBlock(f.Zero, pg.BlockNumber(i))
		default:
			blocks = append(blocks, pg.BlockNumber(i))
		}
	}
	for len(blocks) > 0 {
		n := min(len(blocks), fb.frame())
		f.Frames = append(f.Frames, fb.relationFrame(w, m, blocks[:n]))
		blocks = blocks[n:]
	}
	return f
}

func (fb *fab) relationFrame(w *repo.PackWriter, m *modelFile, blocks []pg.BlockNumber) repo.Frame {
	var raw []byte
	var hashes []uint64
	var runs []repo.BlockRun
	for _, b := range blocks {
		p := fabPage(m.pages[b])
		raw, hashes, runs = append(raw, p...), append(hashes, repo.PageHash(p)), appendBlock(runs, b)
	}
	fr, err := w.WriteFrame(fb.t.Context(), raw, hashes)
	must(fb.t, err)
	fr.Runs = runs
	return fr
}

func appendBlock(runs []repo.BlockRun, b pg.BlockNumber) []repo.BlockRun {
	if k := len(runs) - 1; k >= 0 && runs[k].First+runs[k].Count == b {
		runs[k].Count++
		return runs
	}
	return append(runs, repo.BlockRun{First: b, Count: 1})
}

// compare finds every difference between a restored directory and a model, except in what a
// restore makes itself.
func (fb *fab) compare(dir string, want model) error {
	own := map[string]bool{labelName: true, pg.BackupManifestName: true, controlPath: true, markerName: true}
	seen := 0
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, p)
		if err != nil || own[rel] || rel == autoConfName && want[rel] == nil || strings.HasPrefix(rel, "pg_wal/") {
			return err
		}
		if rel == "pg_tblspc/16400" {
			to, err := os.Readlink(p)
			if err != nil {
				return err
			}
			return filepath.WalkDir(to, func(p string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				below, err := filepath.Rel(to, p)
				if err != nil {
					return err
				}
				seen++
				return compareFile(p, rel+"/"+below, want)
			})
		}
		seen++
		return compareFile(p, rel, want)
	})
	if err == nil && seen != len(want) {
		err = fmt.Errorf("%d files, want %d", seen, len(want))
	}
	return err
}

func compareFile(p, rel string, want model) error {
	w := want[rel]
	if w == nil {
		return fmt.Errorf("%s: should not be there", rel)
	}
	st, err := os.Lstat(p)
	if err != nil {
		return err
	}
	if uint32(st.Mode()) != w.mode {
		return fmt.Errorf("%s: mode %v, want %o", rel, st.Mode(), w.mode)
	}
	got, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	content := w.content()
	if rel == autoConfName {
		got = got[:min(len(got), len(content))]
	} else if !st.ModTime().Equal(w.mtime) {
		return fmt.Errorf("%s: of %v, want %v", rel, st.ModTime(), w.mtime)
	}
	if !bytes.Equal(got, content) {
		at := 0
		for at < len(got) && at < len(content) && got[at] == content[at] {
			at++
		}
		return fmt.Errorf("%s: %d bytes, want %d, first difference in block %d", rel, len(got), len(content),
			at/int(fabGeometry().BlockSize))
	}
	return nil
}
