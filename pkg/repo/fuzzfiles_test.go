package repo

import (
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Whatever stands in the list of a pack's files: it gives files in order with frames of this pack, or less of them, in
// bounded memory.
func FuzzFilesList(f *testing.F) {
	seed := func(files ...*File) {
		raw := encodeEntries(files)
		f.Add(raw, uint32(len(files)))
	}
	seed(fuzzFiles()...)
	frame := Frame{Pack: 1, Offset: 128, Stored: 100, Raw: 8192, Codec: CodecZstd, Sum: 7, Runs: []BlockRun{{3, 1}}}
	seed(
		&File{Path: "PG_VERSION", Kind: KindFile, Whole: true, Size: 3, Frames: []Frame{{
			Pack: 1, Offset: 228, Stored: 43, Raw: 3, HashIndex: NoHashes,
		}}},
		&File{Path: "base/5/16384", Kind: KindRelation, Size: 4 * 8192, Frames: []Frame{frame}},
	)
	f.Fuzz(func(t *testing.T, raw []byte, count uint32) {
		head := testHeader(kindFiles)
		head.Number = 1
		block := testFrame{frameHeader{Kind: frameEntries, Raw: uint32(len(raw)), Count: count}, raw}
		data := objectOf(head, block, endFrame(xxhash.Sum64(raw), block))
		d, err := newDecompressor()
		if err != nil {
			t.Fatal(err)
		}
		info := ClusterInfo{SystemIdentifier: 7, Geometry: pg.DefaultGeometry()}
		c := &Cluster{st: bytesStore{data: data}, d: d, Info: info}
		l := leftover{packs: map[uint32]*earlierPack{1: {number: 1}}, last: 1}
		noticed := 0
		e, err := c.newEarlier(t.Context(), head.Name, l, func(error) { noticed++ })
		if err != nil {
			t.Fatal(err)
		}
		last, files := "", uint32(0)
		bounded(t, 4<<20+uint64(len(data))*200, func() {
			for file, err := range e.Files(t.Context()) {
				if err != nil {
					t.Fatal(err)
				}
				if last != "" && pg.ComparePaths(last, file.Path) >= 0 || len(file.Versions) != 1 {
					t.Fatalf("%s after %s, in %d versions", file.Path, last, len(file.Versions))
				}
				last = file.Path
				files++
				for _, fr := range file.Versions[0].Frames {
					if fr.Pack != 1 {
						t.Fatalf("a frame of pack %d", fr.Pack)
					}
				}
			}
		})
		if files != count && noticed == 0 {
			t.Fatalf("%d of %d files, and nothing was told", files, count)
		}
	})
}
