package extract

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

const (
	relPath = "base/5/16384.1"
	fullID  = "20261123T083810Z-F"
	incrID  = "20261123T083811Z-I"
)

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

func geometry() pg.Geometry {
	return pg.Geometry{BlockSize: 1024, RelSegBlocks: 131072, WALBlockSize: 8192, WALSegmentSize: 1 << 20}
}

// page has a right checksum as block n of its fork; version 0 is a page of zeros.
func page(version byte, n pg.BlockNumber) pg.Page {
	p := make(pg.Page, geometry().BlockSize)
	if version == 0 {
		return p
	}
	for i := range p {
		p[i] = version + byte(n)
	}
	binary.LittleEndian.PutUint16(p[8:], p.Checksum(n))
	return p
}

// add stores a backup in which the blocks of the segment that are given have a new version, or are zeros.
func add(
	t *testing.T, c *repo.Cluster, id, parent string, version byte, blocks []pg.BlockNumber, zero []repo.BlockRun,
) {
	t.Helper()
	ctx := t.Context()
	b, err := c.CreateBackup(ctx, id, repo.Compression{Codec: repo.CodecZstd})
	must(t, err)
	w := b.NewPackWriter()
	f := &repo.File{
		Path: relPath, Kind: repo.KindRelation, Size: 6 * 1024, Whole: parent == "", Mode: 0o600,
		ModTime: time.Unix(9, 0).UTC(), Zero: zero,
	}
	for i := 0; i < len(blocks); i += 2 {
		var raw []byte
		var hashes []uint64
		var runs []repo.BlockRun
		for _, n := range blocks[i:min(i+2, len(blocks))] {
			p := page(version, n+131072)
			raw, hashes = append(raw, p...), append(hashes, repo.PageHash(p))
			runs = append(runs, repo.BlockRun{First: n, Count: 1})
		}
		fr, err := w.WriteFrame(ctx, raw, hashes)
		must(t, err)
		fr.Runs = runs
		f.Frames = append(f.Frames, fr)
	}
	text := []byte("15\n")
	fr, err := w.WriteFrame(ctx, text, nil)
	must(t, err)
	plain := &repo.File{
		Path: "PG_VERSION", Kind: repo.KindFile, Size: 3, Whole: true, Sum: xxhash.Sum64(text), Frames: []repo.Frame{fr},
		ModTime: time.Unix(9, 0).UTC(),
	}
	must(t, w.Close(ctx), b.AppendFile(ctx, plain), b.AppendFile(ctx, f),
		b.PutControl(ctx, bytes.Repeat([]byte{version}, pg.ControlFileSize)))
	begun, kind, err := repo.ParseID(id)
	must(t, err)
	must(t, b.Commit(ctx, &repo.Manifest{
		ID: id, Cluster: "main", Type: kind, Parent: parent, Status: repo.StatusOK, Timeline: 1,
		StartLSN: pg.LSN(version) << 24, StopLSN: pg.LSN(version)<<24 + 1, StartedAt: begun, FinishedAt: begun,
		SystemIdentifier: 7, PGVersion: 150018, CatalogVersion: 202209061, Geometry: geometry(), ChecksumVersion: 1,
		WAL: repo.WALNeed{Mode: repo.WALArchived}, Version: "test",
	}))
}

// chain makes a full backup and an incremental one.
func chain(t *testing.T) (*storetest.Memory, *repo.Chain) {
	t.Helper()
	st := storetest.NewMemory()
	c, _, err := repo.Init(t.Context(), st,
		repo.ClusterInfo{Name: "main", SystemIdentifier: 7, PGVersion: 150018, Geometry: geometry()})
	must(t, err)
	add(t, c, fullID, "", 1, []pg.BlockNumber{0, 1, 2, 5}, []repo.BlockRun{{First: 3, Count: 2}})
	add(t, c, incrID, fullID, 50, []pg.BlockNumber{1, 3}, []repo.BlockRun{{First: 5, Count: 1}})
	m, err := c.Backup(t.Context(), incrID)
	must(t, err)
	ch, err := c.OpenChain(t.Context(), m)
	must(t, err)
	t.Cleanup(func() { must(t, ch.Close()) })
	return st, ch
}

// versions are those of the blocks in the newest state, and who stores them.
func versions() ([]byte, []string) {
	return []byte{1, 50, 1, 50, 0, 0}, []string{fullID, incrID, fullID, incrID, fullID, incrID}
}

func fork() pg.RelFork {
	return pg.RelFork{RelFileLocator: pg.RelFileLocator{Spc: pg.DefaultTablespace, DB: 5, Rel: 16384}}
}

// Each page is that of the newest state, with the backup that has it; zeros lie in no pack.
func TestReadPage(t *testing.T) {
	_, ch := chain(t)
	v, from := versions()
	for i := range v {
		n := pg.BlockNumber(131072 + i)
		p, err := ReadPage(t.Context(), ch, fork(), n)
		must(t, err)
		checksum := map[bool]string{true: ChecksumNone, false: ChecksumOK}[v[i] == 0]
		if !bytes.Equal(p.Data, page(v[i], n)) || p.Backup != from[i] || p.Path != relPath || p.Checksum != checksum ||
			(p.Pack == 0) != (v[i] == 0) || p.Hash != repo.PageHash(p.Data) {
			t.Errorf("block %d: %+v", n, p)
		}
	}
	other := fork()
	other.Rel++
	for _, err := range []error{
		second(ReadPage(t.Context(), ch, fork(), 131072+6)), second(ReadPage(t.Context(), ch, fork(), 0)),
		second(ReadPage(t.Context(), ch, other, 131072)),
	} {
		if !errors.Is(err, ErrNoBlock) {
			t.Errorf("a block that is not there: %v", err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

// A file is written whole under its name, or not at all.
func TestWriteFile(t *testing.T) {
	st, ch := chain(t)
	out := filepath.Join(t.TempDir(), "out")
	var want []byte
	v, _ := versions()
	for i := range v {
		want = append(want, page(v[i], pg.BlockNumber(131072+i))...)
	}
	for name, want := range map[string][]byte{
		relPath: want, "PG_VERSION": []byte("15\n"), controlPath: bytes.Repeat([]byte{50}, pg.ControlFileSize),
	} {
		f, err := WriteFile(t.Context(), ch, name, out)
		must(t, err)
		got, err := os.ReadFile(out)
		must(t, err)
		if !bytes.Equal(got, want) || f.Size != int64(len(want)) {
			t.Errorf("%s: %+v", name, f)
		}
		if _, err := WriteFile(t.Context(), ch, name, out); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s: over a file: %v", name, err)
		}
		must(t, os.Remove(out))
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range []error{
		second(WriteFile(t.Context(), ch, "base/5/1", out)), second(WriteFile(t.Context(), ch, "../x", out)),
		second(WriteFile(t.Context(), ch, "base//5", out)), second(WriteFile(cancelled, ch, relPath, out)),
	} {
		if err == nil {
			t.Error("written")
		}
	}
	object := "main/backups/" + fullID + "/000001.pack"
	whole := st.Bytes(object)
	for at := 128; at < len(whole)-64; at += 11 {
		bad := bytes.Clone(whole)
		bad[at] ^= 4
		st.Damage(object, bad)
		_, err := WriteFile(t.Context(), freshly(t, st), relPath, out)
		if err == nil {
			got, rerr := os.ReadFile(out)
			must(t, rerr, os.Remove(out))
			if !bytes.Equal(got, want) {
				t.Errorf("byte %d: written wrong", at)
			}
		} else if !errors.Is(err, repo.ErrCorrupt) {
			t.Errorf("byte %d: %v", at, err)
		}
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

// freshly opens the chain again.
func freshly(t *testing.T, st *storetest.Memory) *repo.Chain {
	t.Helper()
	c, err := repo.OpenCluster(t.Context(), st, "main")
	must(t, err)
	m, err := c.Backup(t.Context(), incrID)
	must(t, err)
	ch, err := c.OpenChain(t.Context(), m)
	must(t, err)
	t.Cleanup(func() { must(t, ch.Close()) })
	return ch
}
