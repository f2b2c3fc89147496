package repo_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	library "github.com/klauspost/compress/zstd"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

const (
	slicedGoldenDir = "testdata/golden-sliced"
	slicedBlocks    = 160 // of 1 kB: two slices and a half
)

// slicedPages is what the sliced frame holds.
func slicedPages() (raw []byte, hashes []uint64) {
	for b := range byte(slicedBlocks) {
		p := goldenPage(2, b)
		raw, hashes = append(raw, p...), append(hashes, repo.PageHash(p))
	}
	return raw, hashes
}

// writeSlicedGolden makes a chain of which the incremental backup has one frame, in slices.
func writeSlicedGolden(ctx context.Context, st repo.Store) error {
	c, _, err := repo.Init(ctx, st, goldenInfo())
	if err != nil {
		return err
	}
	all := []repo.BlockRun{run(0, slicedBlocks)}
	file := repo.File{Path: "base/5/16384", Kind: repo.KindRelation, Mode: 0o600, Size: slicedBlocks * 1024}
	full := func(context.Context, *repo.PackWriter) ([]*repo.File, error) {
		f := file
		f.Whole, f.Zero = true, all
		return []*repo.File{&f}, nil
	}
	incr := func(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
		f := file
		raw, hashes := slicedPages()
		fr, err := w.WriteFrame(ctx, raw, hashes)
		fr.Runs = all
		f.Frames = []repo.Frame{fr}
		return []*repo.File{&f}, err
	}
	return errors.Join(
		goldenBackup(ctx, c, testManifest(fullID, "", 0x2000028), zstd, full),
		goldenBackup(ctx, c, testManifest(incrID, fullID, 0x3000028), zstd, incr),
	)
}

// A frame in slices is read by every later version, whole and only where it is wanted; and it was by those before
// slices, which gave the payload of a frame to the library in one piece.
func TestGoldenSliced(t *testing.T) {
	ctx := t.Context()
	c := openGolden(t, slicedGoldenDir, writeSlicedGolden)
	if ok, problems := verify(t, c, incrID); !ok {
		t.Errorf("verify: %q", problems)
	}
	m, err := c.Backup(ctx, incrID)
	must(t, err)
	ch, err := c.OpenChain(ctx, m)
	must(t, err)
	defer func() { must(t, ch.Close()) }()
	want, _ := slicedPages()
	for cf, err := range ch.Files(ctx) {
		must(t, err)
		pieces, _, err := cf.Resolve(m.Geometry)
		must(t, err)
		if len(pieces) != 1 || pieces[0].Frame.Codec != repo.CodecZstd {
			t.Fatalf("%+v", pieces)
		}
		p := &pieces[0]
		whole, err := ch.ReadPiece(ctx, p, nil)
		if err != nil || !bytes.Equal(whole, want) {
			t.Errorf("all of it: %d bytes, %v", len(whole), err)
		}
		pack, err := os.ReadFile(filepath.Join(slicedGoldenDir, "main/backups", incrID, "000001.pack"))
		must(t, err)
		asBefore(t, pack[p.Frame.Offset+40:p.Frame.Offset+int64(p.Frame.Stored)], want)
		p.Runs = []repo.BlockRun{run(100, 1)}
		some, err := ch.ReadPiece(ctx, p, nil)
		must(t, err)
		for block, page := range p.Pages(some, m.Geometry) {
			if block != 100 || !bytes.Equal(page, pg.Page(want[100*1024:101*1024])) {
				t.Errorf("block %d is not what it was", block)
			}
		}
	}
}

// asBefore decompresses a payload as the first version did; it must consist of three slices.
func asBefore(t *testing.T, payload, want []byte) {
	t.Helper()
	if n := bytes.Count(payload, []byte{0x28, 0xB5, 0x2F, 0xFD}); n != 3 {
		t.Errorf("%d slices", n)
	}
	d, err := library.NewReader(nil, library.WithDecodeAllCapLimit(true))
	must(t, err)
	defer d.Close()
	got, err := d.DecodeAll(payload, make([]byte, 0, len(want)))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("decompressed as before: %d bytes, %v", len(got), err)
	}
}
