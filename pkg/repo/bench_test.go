package repo_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/pgincr/pgincr/pkg/repo"
)

// BenchmarkReadFrame reads a relation of 128 MB frame by frame.
func BenchmarkReadFrame(b *testing.B) {
	for _, z := range []string{"zstd", "lz4", "none"} {
		b.Run(z, func(b *testing.B) {
			ctx := b.Context()
			c := newTestCluster(b, newTestStore(b))
			compression, err := repo.ParseCompression(z)
			must(b, err)
			w, err := c.CreateBackup(ctx, fullID, compression)
			must(b, err)
			p := w.NewPackWriter()
			f, err := rel(ctx, p, "base/5/16384", 16384, 1, 128, run(0, 16384))
			must(b, err)
			must(b, p.Close(ctx))
			f.Whole = true
			must(b, w.AppendFile(ctx, f))
			must(b, w.PutControl(ctx, make([]byte, 8192)))
			must(b, w.Commit(ctx, testManifest(fullID, "", 1)))
			m, err := c.Backup(ctx, fullID)
			must(b, err)
			r, err := c.OpenBackup(ctx, m)
			must(b, err)
			dst := make([]byte, repo.MaxFrame)
			b.SetBytes(f.Size)
			b.ReportAllocs()
			for b.Loop() {
				for _, fr := range f.Frames {
					dst, err = r.ReadFrame(ctx, fr, dst)
					must(b, err)
				}
			}
		})
	}
}

// BenchmarkWriteFrame compresses and writes pages with one worker.
func BenchmarkWriteFrame(b *testing.B) {
	var raw []byte
	var hashes []uint64
	for i := range uint64(128) {
		raw = append(raw, testPage(i)...)
		hashes = append(hashes, i)
	}
	for _, z := range []string{"zstd", "zstd:3", "lz4", "none"} {
		b.Run(z, func(b *testing.B) {
			ctx := b.Context()
			c := newTestCluster(b, newTestStore(b))
			compression, err := repo.ParseCompression(z)
			must(b, err)
			w, err := c.CreateBackup(ctx, fullID, compression)
			must(b, err)
			p := w.NewPackWriter()
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				_, err := p.WriteFrame(ctx, raw, hashes)
				must(b, err)
			}
			must(b, w.Abort(ctx))
		})
	}
}

// BenchmarkPutWAL archives a segment, fsync included. PGINCR_BENCH_WAL names a real one.
func BenchmarkPutWAL(b *testing.B) {
	segment := bytes.Repeat(testPage(1), segmentSize/8192)
	if path := os.Getenv("PGINCR_BENCH_WAL"); path != "" {
		var err error
		segment, err = os.ReadFile(path)
		must(b, err)
	}
	ctx := b.Context()
	a := newTestCluster(b, newTestStore(b)).WAL(zstd)
	b.SetBytes(int64(len(segment)))
	n := 0
	for b.Loop() {
		n++
		must(b, a.Put(ctx, fmt.Sprintf("00000001%08X%08X", n/256, n%256), bytes.NewReader(segment)))
	}
}

// BenchmarkBackups lists a repository of 1000 backups.
func BenchmarkBackups(b *testing.B) {
	ctx := b.Context()
	c := newTestCluster(b, newTestStore(b))
	for i := range 1000 {
		id := fmt.Sprintf("20261123T%02d%02d00Z-F", i/60, i%60)
		_, err := store(ctx, c, testManifest(id, "", 0x2000028), smallFull)
		must(b, err)
	}
	for b.Loop() {
		all, err := c.Backups(ctx)
		if err != nil || len(all) != 1000 {
			b.Fatal(len(all), err)
		}
	}
}
