package repo_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

const (
	differencesGoldenDir = "testdata/golden-differences"
	differencesBlocks    = 160 // of 1 kB: enough that a style is chosen
)

// differencesPages is what the frame of differences holds: numbers that count up from page to page.
func differencesPages() (raw []byte, hashes []uint64) {
	for b := range uint64(differencesBlocks) {
		p := goldenPage(3, byte(b))
		for at := 512; at < len(p); at += 16 {
			binary.LittleEndian.PutUint64(p[at:], b*1000+uint64(at))
		}
		raw, hashes = append(raw, p...), append(hashes, repo.PageHash(p))
	}
	return raw, hashes
}

// writeDifferencesGolden makes a chain in which the full backup has a frame of differences, and the
// incremental one in slices.
func writeDifferencesGolden(ctx context.Context, st repo.Store) error {
	c, _, err := repo.Init(ctx, st, goldenInfo())
	if err != nil {
		return err
	}
	write := func(whole bool, from, to pg.BlockNumber) func(context.Context, *repo.PackWriter) ([]*repo.File, error) {
		return func(ctx context.Context, w *repo.PackWriter) ([]*repo.File, error) {
			f := &repo.File{
				Path: "base/5/16384", Kind: repo.KindRelation, Mode: 0o600, Size: differencesBlocks * 1024, Whole: whole,
			}
			raw, hashes := differencesPages()
			fr, err := w.WriteFrame(ctx, raw[from*1024:to*1024], hashes[from:to])
			fr.Runs = []repo.BlockRun{run(from, to-from)}
			f.Frames = []repo.Frame{fr}
			return []*repo.File{f}, err
		}
	}
	return errors.Join(
		goldenBackup(ctx, c, testManifest(fullID, "", 0x2000028), zstd, write(true, 0, differencesBlocks)),
		goldenBackup(ctx, c, testManifest(incrID, fullID, 0x3000028), zstd, write(false, 10, 150)),
	)
}

// Frames of differences are read by every later version, whole and only where they are wanted.
func TestGoldenDifferences(t *testing.T) {
	ctx := t.Context()
	c := openGolden(t, differencesGoldenDir, writeDifferencesGolden)
	want, _ := differencesPages()
	for _, id := range []string{fullID, incrID} {
		if ok, problems := verify(t, c, id); !ok {
			t.Errorf("verify: %q", problems)
		}
		m, err := c.Backup(ctx, id)
		must(t, err)
		ch, err := c.OpenChain(ctx, m)
		must(t, err)
		for cf, err := range ch.Files(ctx) {
			must(t, err)
			pieces, _, err := cf.Resolve(m.Geometry)
			must(t, err)
			for i := range pieces {
				readDifferences(t, ch, &pieces[i], m.Geometry, want)
			}
		}
		must(t, ch.Close())
	}
}

// readDifferences reads a piece whole and one block of it.
func readDifferences(t *testing.T, ch *repo.Chain, p *repo.Piece, g pg.Geometry, want []byte) {
	t.Helper()
	if p.Frame.Codec != repo.CodecDifferences {
		t.Fatalf("a frame of %s", p.Frame.Codec)
	}
	for _, runs := range [][]repo.BlockRun{p.Runs, {run(p.Runs[0].First, 1)}} {
		p.Runs = runs
		raw, err := ch.ReadPiece(t.Context(), p, nil)
		must(t, err)
		seen := 0
		for block, page := range p.Pages(raw, g) {
			if seen++; !bytes.Equal(page, pg.Page(want[block*1024:(block+1)*1024])) {
				t.Errorf("block %d is not what it was", block)
			}
		}
		if seen != p.Blocks() {
			t.Errorf("%d of %d blocks", seen, p.Blocks())
		}
	}
}
