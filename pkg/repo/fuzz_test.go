package repo

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgincr/pgincr/pkg/pg"
)

// bytesObject is an object in memory.
type bytesObject struct{ *bytes.Reader }

func (bytesObject) Close() error { return nil }

// bytesStore is a store of one object, whatever it is called.
type bytesStore struct {
	Store
	data []byte
}

func (s bytesStore) Open(context.Context, string) (ObjectReader, error) {
	return bytesObject{bytes.NewReader(s.data)}, nil
}

// sinkWriter keeps what is written to it.
type sinkWriter struct{ bytes.Buffer }

func (*sinkWriter) Commit(context.Context) error { return nil }
func (*sinkWriter) Abort() error                 { return nil }

// testHeader is the header of the objects in these tests.
func testHeader(kind objectKind) objectHeader {
	return objectHeader{Kind: kind, SystemID: 7, Name: "20261123T083810Z-F"}
}

// object gives an object with these frames and the right checksums around them.
func object(kind objectKind, frames ...testFrame) []byte {
	return objectOf(testHeader(kind), frames...)
}

// objectOf is object with any header.
func objectOf(h objectHeader, frames ...testFrame) []byte {
	head, err := h.marshal()
	if err != nil {
		panic(err)
	}
	sum := binary.BigEndian.Uint64(head[offHeaderSum:])
	out := head
	for _, f := range frames {
		f.Stored, f.Sum = uint32(len(f.payload)), xxhash.Sum64(f.payload)
		b := make([]byte, frameHeaderSize)
		f.put(b, sum, int64(len(out)))
		out = append(append(out, b...), f.payload...)
	}
	return out
}

// testFrame is a frame whose header need not make sense.
type testFrame struct {
	frameHeader
	payload []byte
}

// endFrame is the end that fits the frames.
func endFrame(sum uint64, frames ...testFrame) testFrame {
	e := end{Sum: sum}
	for _, f := range frames {
		e.Raw += uint64(f.Raw)
		e.Items += uint64(f.Count)
	}
	return testFrame{frameHeader{Kind: frameEnd, Raw: endSize, Count: uint32(len(frames))}, e.marshal()}
}

// bounded fails if f allocates more than limit bytes.
func bounded(t *testing.T, limit uint64, f func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > limit {
		t.Errorf("%d bytes allocated, want at most %d", n, limit)
	}
}

// A header is refused, or is exactly what marshal writes for what it says.
func FuzzObjectHeader(f *testing.F) {
	b, err := testHeader(kindPack).marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= objectHeaderSize { // the checksum would keep the fuzzer from getting anywhere
			b = bytes.Clone(b[:objectHeaderSize])
			binary.BigEndian.PutUint64(b[offHeaderSum:], xxhash.Sum64(b[:offHeaderSum]))
		}
		h, _, err := parseObjectHeader(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
				t.Fatal(err)
			}
			return
		}
		again, err := h.marshal()
		if h.Name != "" && (err != nil || !bytes.Equal(again, b)) {
			t.Fatalf("%+v: %v", h, err)
		}
	})
}

// A frame header is refused, or is exactly what put writes for what it says.
func FuzzFrameHeader(f *testing.F) {
	b := make([]byte, frameHeaderSize)
	frameHeader{Kind: framePages, Codec: CodecZstd, Raw: 8192, Stored: 100, Count: 1, First: 7, Sum: 8}.put(b, 1, 2)
	f.Add(b, uint64(1), int64(2))
	f.Fuzz(func(t *testing.T, b []byte, objectSum uint64, off int64) {
		if len(b) >= frameHeaderSize {
			b = bytes.Clone(b[:frameHeaderSize])
			binary.BigEndian.PutUint64(b[offFrameCheck:], frameCheck(b, objectSum, off))
		}
		h, err := parseFrameHeader(b, &binding{sum: objectSum}, off)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again := make([]byte, frameHeaderSize)
		h.put(again, objectSum, off)
		if !bytes.Equal(again, b) {
			t.Fatalf("%+v", h)
		}
	})
}

// fuzzFiles are entries of every kind.
func fuzzFiles() []*File {
	owner := File{Mode: 0o600, UID: 26, GID: 26, Identity: Identity{8, 77, 1, 2, 3}}
	owner.ModTime = time.Unix(1_790_000_000, 5).UTC()
	dir, link, plain, relation := owner, owner, owner, owner
	dir.Path, dir.Kind = "base", KindDir
	plain.Path, plain.Kind, plain.Whole, plain.Size, plain.Sum = "base/5/PG_VERSION", KindFile, true, 3, 99
	plain.Frames = []Frame{{Pack: 1, Offset: 128, Stored: 43, Raw: 3, Sum: 5, HashIndex: NoHashes}}
	relation.Path, relation.Kind, relation.Size = "base/5/16384", KindRelation, 10*8192
	relation.Frames = []Frame{
		{Pack: 1, Offset: 171, Stored: 1000, Raw: 3 * 8192, Codec: CodecZstd, Sum: 6, Runs: []BlockRun{{1, 2}, {9, 1}}},
		{Pack: 1, Offset: 1171, Stored: 500, Raw: 8192, Codec: CodecLZ4, Sum: 7, HashIndex: 3, Runs: []BlockRun{{4, 1}}},
		{Pack: 3, Offset: 9000, Stored: 100, Raw: 8192, Sum: 8, HashIndex: 70, Runs: []BlockRun{{0, 1}}},
	}
	relation.Zero = []BlockRun{{5, 2}, {8, 1}}
	link.Path, link.Kind, link.Link = "pg_tblspc/16999", KindLink, "/srv/space"
	return []*File{&dir, &plain, &relation, &link}
}

// encodeEntries gives the content of an index block.
func encodeEntries(files []*File) []byte {
	var s entryState
	var out []byte
	for _, f := range files {
		entry := s.appendEntry(nil, f)
		out = append(binary.AppendUvarint(out, uint64(len(entry))), entry...)
	}
	return out
}

// decodeEntries reads the content of an index block as an indexReader does.
func decodeEntries(raw []byte, count uint32) (files []*File, err error) {
	block := testFrame{frameHeader{Kind: frameEntries, Raw: uint32(len(raw)), Count: count}, raw}
	data := object(kindIndex, block, endFrame(xxhash.Sum64(raw), block))
	d, err := newDecompressor()
	if err != nil {
		return nil, err
	}
	r, err := newIndexReader(bytesObject{bytes.NewReader(data)}, d, "index", testHeader(kindIndex), pg.DefaultGeometry())
	if err != nil {
		return nil, err
	}
	for {
		f, err := r.next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		files = append(files, f)
	}
}

// An index block is refused or read, in memory that its size bounds; what is read can be
// written and read again.
func FuzzIndexBlock(f *testing.F) {
	f.Add(encodeEntries(fuzzFiles()), uint32(4))
	for _, file := range fuzzFiles() {
		f.Add(encodeEntries([]*File{file}), uint32(1))
	}
	f.Fuzz(func(t *testing.T, raw []byte, count uint32) {
		if len(raw) > 1<<20 {
			return
		}
		var files []*File
		var err error
		bounded(t, 4<<20+uint64(len(raw))*200, func() { files, err = decodeEntries(raw, count) })
		if err != nil {
			if !errors.Is(err, ErrCorrupt) {
				t.Fatal(err)
			}
			return
		}
		again, err := decodeEntries(encodeEntries(files), count)
		if d := cmp.Diff(files, again, cmpopts.EquateEmpty()); d != "" || err != nil {
			t.Fatal(d, err)
		}
	})
}

// An object of bytes is refused, or gives as many bytes as its frames say.
func FuzzEnvelope(f *testing.F) {
	f.Add(byte(frameBytes), byte(CodecNone), uint32(3), uint32(0), uint32(0), []byte("abc"), []byte{})
	magic := []byte{0x28, 0xb5, 0x2f, 0xfd}
	f.Add(byte(frameBytes), byte(CodecZstd), uint32(1<<20), uint32(0), uint32(0), magic, []byte("rest"))
	f.Fuzz(func(t *testing.T, kind, codec byte, raw, count, first uint32, payload, rest []byte) {
		h := frameHeader{Kind: frameKind(kind), Codec: Codec(codec), Raw: raw, Count: count, First: first}
		frame := testFrame{h, payload}
		data := append(object(kindWAL, frame, endFrame(xxhash.Sum64(payload), frame)), rest...)
		d, err := newDecompressor()
		if err != nil {
			t.Fatal(err)
		}
		r, err := openEnvelope(t.Context(), bytesStore{data: data}, d, "wal", testHeader(kindWAL))
		if err != nil {
			t.Fatal(err)
		}
		var n int64
		bounded(t, 8<<20+uint64(len(data))*2, func() { n, err = io.Copy(io.Discard, r) })
		if err == nil && (n != int64(raw) || len(rest) > 0) {
			t.Fatalf("%d bytes read, %d follow the end", n, len(rest))
		}
		if err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatal(err)
		}
	})
}

// Bytes that are no object at all are refused by whatever reads objects.
func FuzzObject(f *testing.F) {
	files := fuzzFiles()
	raw := encodeEntries(files)
	block := testFrame{frameHeader{Kind: frameEntries, Raw: uint32(len(raw)), Count: 4}, raw}
	f.Add(object(kindIndex, block, endFrame(xxhash.Sum64(raw), block)))
	f.Add(object(kindWAL, endFrame(xxhash.Sum64(nil))))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := newDecompressor()
		if err != nil {
			t.Fatal(err)
		}
		want := testHeader(kindIndex)
		if len(data) > offHeaderKind+3 {
			want.Kind = objectKind(data[offHeaderKind+3])
		}
		fr, err := newFrameReader(bytes.NewReader(data), int64(len(data)), "object", want)
		for err == nil {
			var h frameHeader
			var payload []byte
			if h, payload, err = fr.next(); err == nil {
				_, err = d.append(nil, payload, h.Codec, int(h.Raw), h.page())
			}
		}
		if !errors.Is(err, io.EOF) && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewer) {
			t.Fatal(err)
		}
	})
}

// Page hashes are refused, or those that were asked for.
func FuzzHashes(f *testing.F) {
	f.Add(make([]byte, 80), uint32(10), uint32(0), uint32(3), uint32(5))
	f.Fuzz(func(t *testing.T, payload []byte, count, frameFirst, first, n uint32) {
		if n > 1<<16 {
			return
		}
		h := frameHeader{Kind: frameHashes, Raw: uint32(len(payload)), Count: count, First: frameFirst}
		frame := testFrame{h, payload}
		data := object(kindHashes, frame, endFrame(xxhash.Sum64(payload), frame))
		o, err := openVerified(t.Context(), bytesStore{data: data}, "hashes", testHeader(kindHashes))
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		bounded(t, 1<<16+uint64(len(data))*4+uint64(n)*24, func() { got, err = o.hashes(first, n, nil) })
		if err == nil && len(got) != int(n) || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d of %d hashes, %v", len(got), n, err)
		}
	})
}

// A frame of a pack is refused, or gives as many bytes as the index says.
func FuzzFrame(f *testing.F) {
	f.Add(byte(frameBytes), byte(CodecNone), uint32(3), uint32(0), []byte("abc"), uint32(1))
	f.Add(byte(framePages), byte(CodecLZ4), uint32(8192), uint32(1), []byte{0x1f, 0x00, 0x01, 0x00, 0xff}, uint32(1))
	differences := differencesOf(f, counting(4, 1024, 1), 1024)
	f.Add(byte(framePages), byte(CodecDifferences), uint32(4096), uint32(4), differences, uint32(4))
	f.Add(byte(framePages), byte(CodecDifferences), uint32(4096), uint32(1), differences, uint32(1))
	f.Fuzz(func(t *testing.T, kind, codec byte, raw, count uint32, payload []byte, pages uint32) {
		h := frameHeader{Kind: frameKind(kind), Codec: Codec(codec), Raw: raw, Count: count}
		data := object(kindPack, testFrame{h, payload})
		d, err := newDecompressor()
		if err != nil {
			t.Fatal(err)
		}
		c := &Cluster{st: bytesStore{data: data}, d: d}
		head := testHeader(kindPack)
		r := &BackupReader{c: c, cache: newObjectCache(c.st, "", head)}
		fr := Frame{
			Offset: objectHeaderSize, Stored: uint32(len(payload)) + frameHeaderSize, Raw: raw, Codec: h.Codec,
			Sum: xxhash.Sum64(payload), HashIndex: NoHashes,
		}
		if h.Kind == framePages {
			fr.HashIndex, fr.Runs = 0, []BlockRun{{0, pg.BlockNumber(pages)}}
		}
		o, err := r.cache.get(t.Context(), objectKey{kindPack, 0})
		if err != nil {
			t.Fatal(err)
		}
		fr.Pack = 1
		var got []byte
		bounded(t, 8<<20+uint64(len(data))*2, func() { got, err = r.readFrame(o, &fr, nil, nil) })
		if err == nil && len(got) != int(raw) || err != nil && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("%d bytes of %d, %v", len(got), raw, err)
		}
	})
}
