package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pg"
)

// writeIndex gives the bytes of an index.
func writeIndex(t testing.TB, files func(yield func(*File) bool)) []byte {
	t.Helper()
	var sink sinkWriter
	head, err := testHeader(kindIndex).marshal()
	if err != nil {
		t.Fatal(err)
	}
	fw, err := newFrameWriter(t.Context(), sinkStore{w: &sink}, "index", testHeader(kindIndex))
	if err != nil || !bytes.Equal(sink.Bytes(), head) {
		t.Fatal(err)
	}
	w, err := newIndexWriter(fw, pg.DefaultGeometry(), Compression{Codec: CodecZstd})
	if err != nil {
		t.Fatal(err)
	}
	for f := range files {
		if err := w.append(f); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	return sink.Bytes()
}

// sinkStore is a store of one object that is written.
type sinkStore struct {
	Store
	w *sinkWriter
}

func (s sinkStore) Create(context.Context, string) (ObjectWriter, error) { return s.w, nil }

// readIndex reads an index through.
func readIndex(t testing.TB, data []byte, each func(*File)) {
	t.Helper()
	d, err := newDecompressor()
	if err != nil {
		t.Fatal(err)
	}
	r, err := newIndexReader(bytesObject{bytes.NewReader(data)}, d, "index", testHeader(kindIndex), pg.DefaultGeometry())
	for err == nil {
		var f *File
		if f, err = r.next(); err == nil {
			each(f)
		}
	}
	if !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
}

// Any entries in order come out as they went in, over many blocks.
func TestIndexRoundTrip(t *testing.T) {
	g := pg.DefaultGeometry()
	rapid.Check(t, func(r *rapid.T) {
		var files []*File
		for i := range rapid.IntRange(1, 40).Draw(r, "files") {
			f := drawVersion(r, smallGeometry(), rapid.Bool().Draw(r, "whole"))
			f.Path = fmt.Sprintf("base/5/%d", 16384+i)
			f.Mode, f.UID = rapid.Uint32().Draw(r, "mode"), rapid.Uint32Max(2).Draw(r, "uid")
			f.Identity.Inode = rapid.Uint64().Draw(r, "inode")
			f.Identity.ChangeTime = rapid.Int64().Draw(r, "ctime")
			if err := f.verify(g); err != nil {
				r.Fatal(err)
			}
			files = append(files, f)
		}
		i := 0
		data := writeIndex(t, func(yield func(*File) bool) {
			for _, f := range files {
				if !yield(f) {
					return
				}
			}
		})
		readIndex(t, data, func(f *File) {
			files[i].ModTime = files[i].ModTime.UTC()
			if d := cmp.Diff(files[i], f, cmpopts.EquateEmpty()); d != "" {
				r.Fatal(d)
			}
			i++
		})
		if i != len(files) {
			r.Fatalf("%d entries of %d", i, len(files))
		}
	})
}

// Entries out of order, twice, outside the data directory or without sense are refused by
// the writer.
func TestIndexRefuses(t *testing.T) {
	frame := Frame{Pack: 1, Offset: 128, Stored: 60, Raw: 8192, Runs: []BlockRun{{0, 1}}}
	good := func(path string) *File { return &File{Path: path, Kind: KindDir} }
	noHash, noPack, tooLong := frame, frame, frame
	noHash.HashIndex, noPack.Pack, tooLong.Stored = NoHashes, 0, 9000
	for name, files := range map[string][]*File{
		"twice":                {good("a"), good("a")},
		"out of order":         {good("base/5/16384.10"), good("base/5/16384.2")},
		"absolute":             {good("/etc")},
		"parent":               {good("a/../../b")},
		"empty":                {good("")},
		"empty element":        {good("a//b")},
		"NUL":                  {good("a\x00")},
		"too long":             {good(strings.Repeat("x", 5000))},
		"no kind":              {{Path: "a"}},
		"link without target":  {{Path: "a", Kind: KindLink}},
		"directory of a size":  {{Path: "a", Kind: KindDir, Size: 1}},
		"negative size":        {{Path: "a", Kind: KindFile, Size: -1}},
		"bytes are missing":    {{Path: "a", Kind: KindFile, Whole: true, Size: 1}},
		"frames of the parent": {{Path: "a", Kind: KindFile, Size: 8192, Frames: []Frame{noHash}}},
		"half a page":          {{Path: "a", Kind: KindRelation, Size: 100}},
		"block beyond the end": {{Path: "a", Kind: KindRelation, Frames: []Frame{frame}}},
		"no hashes":            {{Path: "a", Kind: KindRelation, Size: 8192, Frames: []Frame{noHash}}},
		"no pack":              {{Path: "a", Kind: KindRelation, Size: 8192, Frames: []Frame{noPack}}},
		"larger than raw":      {{Path: "a", Kind: KindRelation, Size: 8192, Frames: []Frame{tooLong}}},
		"block twice":          {{Path: "a", Kind: KindRelation, Size: 8192, Frames: []Frame{frame, frame}}},
		"zero page twice":      {{Path: "a", Kind: KindRelation, Size: 8192, Zero: []BlockRun{{0, 1}, {0, 1}}}},
		"page and zero page": {{
			Path: "a", Kind: KindRelation, Size: 16384, Frames: []Frame{frame}, Zero: []BlockRun{{0, 1}},
		}},
		"not whole": {{Path: "a", Kind: KindRelation, Size: 16384, Whole: true, Frames: []Frame{frame}}},
	} {
		fw := &frameWriter{w: &sinkWriter{}, name: "index"}
		w, err := newIndexWriter(fw, pg.DefaultGeometry(), Compression{Codec: CodecZstd})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if err = w.append(f); err != nil {
				break
			}
		}
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// Entries with a flipped bit, or cut off, are refused or other entries, and never more.
func TestDamagedEntries(t *testing.T) {
	good := encodeEntries(fuzzFiles())
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if _, err := decodeEntries(bad, 4); err != nil && !errors.Is(err, ErrCorrupt) {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
		}
		for _, count := range []uint32{1, 3, 4, 5} {
			files, err := decodeEntries(good[:i], count)
			if err == nil && bytes.Equal(encodeEntries(files), good[:i]) {
				continue // cut off between two entries
			}
			if !errors.Is(err, ErrCorrupt) {
				t.Fatalf("%d entries in %d bytes: %v", count, i, err)
			}
		}
	}
}

// Headers that no writer makes are refused although their checksums are right.
func TestFrameHeaderRefuses(t *testing.T) {
	good := frameHeader{Kind: frameBytes, Codec: CodecZstd, Raw: 100, Stored: 50}
	for name, change := range map[string]func(h *frameHeader){
		"kind 0":             func(h *frameHeader) { h.Kind = 0 },
		"kind 6":             func(h *frameHeader) { h.Kind = 6 },
		"codec":              func(h *frameHeader) { h.Codec = 4 },
		"codec of pages":     func(h *frameHeader) { h.Codec = CodecDifferences },
		"too large":          func(h *frameHeader) { h.Raw = MaxFrame + 1 },
		"too large a block":  func(h *frameHeader) { h.Kind, h.Raw = frameEntries, maxIndexBlock+1 },
		"stored more":        func(h *frameHeader) { h.Stored = 101 },
		"shorter than it is": func(h *frameHeader) { h.Codec = CodecNone },
	} {
		h := good
		change(&h)
		b := make([]byte, frameHeaderSize)
		h.put(b, 1, 2)
		if _, err := parseFrameHeader(b, &binding{sum: 1}, 2); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := make([]byte, frameHeaderSize)
	good.put(b, 1, 2)
	if h, err := parseFrameHeader(b, &binding{sum: 1}, 2); err != nil || h != good {
		t.Errorf("%+v, %v", h, err)
	}
	if _, err := parseFrameHeader(b, &binding{sum: 1}, 3); !errors.Is(err, ErrCorrupt) {
		t.Errorf("in another place: %v", err)
	}
	if _, err := parseFrameHeader(b, &binding{sum: 3}, 2); !errors.Is(err, ErrCorrupt) {
		t.Errorf("in another object: %v", err)
	}
}

// manyFiles yields the entries of a full backup: frames of 1 MiB in files of perFile frames.
func manyFiles(count, perFile int) func(yield func(*File) bool) {
	return func(yield func(*File) bool) {
		sum := uint64(0x9e3779b97f4a7c15)
		off := int64(objectHeaderSize)
		for i := range count {
			f := &File{
				Path: fmt.Sprintf("base/5/%d", 100000+i), Kind: KindRelation, Mode: 0o600, UID: 26, GID: 26, Whole: true,
				Size: int64(perFile) << 20, Identity: Identity{Device: 8, Inode: uint64(1000 + i*3), ModTime: int64(sum >> 3)},
			}
			for j := range perFile {
				sum = sum*6364136223846793005 + 1442695040888963407
				stored := 330_000 + uint32(sum>>49)
				f.Frames = append(f.Frames, Frame{
					Pack: uint32(off>>28) + 1, Offset: off & (1<<28 - 1), Stored: stored, Raw: 1 << 20, Codec: CodecZstd, Sum: sum,
					HashIndex: uint32(j) * 128, Runs: []BlockRun{{pg.BlockNumber(j * 128), 128}},
				})
				if off += int64(stored); off&(1<<28-1) < int64(stored) {
					off = off&^(1<<28-1) + objectHeaderSize
				}
			}
			if !yield(f) {
				return
			}
		}
	}
}

// A frame takes at most 30 bytes of the index.
func TestIndexSize(t *testing.T) {
	data := writeIndex(t, manyFiles(10, 1024))
	if n := len(data) / (10 * 1024); n > 30 {
		t.Errorf("%d bytes for each frame", n)
	}
	t.Logf("%.1f bytes for each frame", float64(len(data))/(10*1024))
}

// An index is written and read in the memory of a block, however many files it has.
func TestIndexMemory(t *testing.T) {
	const files = 200_000
	data := writeIndex(t, manyFiles(files, 1))
	runtime.GC()
	var before, now runtime.MemStats
	runtime.ReadMemStats(&before)
	n, most := 0, uint64(0)
	readIndex(t, data, func(*File) {
		if n++; n%50_000 == 0 {
			runtime.GC()
			runtime.ReadMemStats(&now)
			most = max(most, now.HeapAlloc)
		}
	})
	if n != files || most > before.HeapAlloc+16<<20 {
		t.Errorf("%d files, %d bytes of heap over %d", n, most, before.HeapAlloc)
	}
	t.Logf("%.1f bytes for each file", float64(len(data))/files)
}

func BenchmarkIndexWrite(b *testing.B) {
	for b.Loop() {
		writeIndex(b, manyFiles(10_000, 1))
	}
}

func BenchmarkIndexRead(b *testing.B) {
	data := writeIndex(b, manyFiles(10_000, 1))
	b.ReportAllocs()
	for b.Loop() {
		readIndex(b, data, func(*File) {})
	}
}

func BenchmarkResolveWhole(b *testing.B) {
	var cf ChainFile
	for f := range manyFiles(1, 1024) {
		cf = ChainFile{Path: f.Path, Versions: []*File{f}, Depth: []int{0}}
	}
	for b.Loop() {
		if _, _, err := cf.Resolve(pg.DefaultGeometry()); err != nil {
			b.Fatal(err)
		}
	}
}

// A chain of 50 on a relation segment of 1 GB, each with 1 % of its blocks.
func BenchmarkResolveChain(b *testing.B) {
	cf := ChainFile{Path: "base/5/16384"}
	for v := range 50 {
		f := &File{Path: cf.Path, Kind: KindRelation, Size: 1 << 30}
		for j := range 10 {
			fr := Frame{Pack: 1, Offset: int64(j)<<20 + 128, Stored: 1000, Raw: 1 << 20, HashIndex: uint32(j) * 128}
			for k := range 128 {
				fr.Runs = append(fr.Runs, BlockRun{pg.BlockNumber((j*128+k)*100 + v), 1})
			}
			f.Frames = append(f.Frames, fr)
		}
		cf.Versions, cf.Depth = append(cf.Versions, f), append(cf.Depth, v)
	}
	for f := range manyFiles(1, 1024) {
		cf.Versions, cf.Depth = append(cf.Versions, f), append(cf.Depth, 50)
	}
	for b.Loop() {
		if _, _, err := cf.Resolve(pg.DefaultGeometry()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIndexReadUnchanged reads entries as an incremental backup has them of files that did not change.
func BenchmarkIndexReadUnchanged(b *testing.B) {
	data := writeIndex(b, func(yield func(*File) bool) {
		for f := range manyFiles(10_000, 1) {
			f.Whole, f.Frames = false, nil
			if !yield(f) {
				return
			}
		}
	})
	b.ReportAllocs()
	for b.Loop() {
		readIndex(b, data, func(*File) {})
	}
}
