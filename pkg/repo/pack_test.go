package repo_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// Workers fill many packs side by side, and readers read them side by side, more than are
// kept open.
func TestManyPacks(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	b, err := c.CreateBackup(ctx, fullID, zstd)
	must(t, err)
	b.SetPackSize(10_000)
	const workers, blocks = 4, 200
	files := make([]*repo.File, workers)
	var g errgroup.Group
	for i := range files {
		w := b.NewPackWriter()
		g.Go(func() (err error) {
			files[i], err = rel(ctx, w, fmt.Sprintf("base/5/%d", 16384+i), blocks, uint64(i), 3, run(0, blocks))
			return errors.Join(err, w.Close(ctx))
		})
	}
	must(t, g.Wait())
	for _, f := range files {
		f.Whole = true
		must(t, b.AppendFile(ctx, f))
	}
	must(t, b.PutControl(ctx, make([]byte, pg.ControlFileSize)))
	m := testManifest(fullID, "", 0x2000028)
	must(t, b.Commit(ctx, m))
	packs := 0
	for _, o := range m.Objects {
		if strings.HasSuffix(o.Name, ".pack") {
			packs++
			if o.Size > 10_000+3*8192+200 {
				t.Errorf("%s has %d bytes", o.Name, o.Size)
			}
		}
	}
	if packs <= 2*repo.MaxOpenObjects {
		t.Errorf("%d packs", packs)
	}
	if ok, problems := verify(t, c, fullID); !ok {
		t.Error(problems)
	}
	r, err := c.OpenBackup(ctx, m)
	must(t, err)
	for i, f := range files {
		g.Go(func() (err error) {
			var dst []byte
			for round := range 3 {
				b := uint64(0)
				for _, fr := range f.Frames {
					if dst, err = r.ReadFrame(ctx, fr, dst); err != nil {
						return err
					}
					for at := 0; at < len(dst); at += 8192 {
						if !bytes.Equal(dst[at:][:8192], testPage(uint64(i)<<32|b)) {
							return fmt.Errorf("round %d: %s block %d is wrong", round, f.Path, b)
						}
						b++
					}
				}
			}
			return nil
		})
	}
	must(t, g.Wait())
	must(t, r.Close())
}

// A frame that is asked for with anything else than what was written is not given.
func TestReadFrameRefuses(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c := newTestCluster(t, st)
	storeSmallChain(t, c)
	m, err := c.Backup(ctx, fullID)
	must(t, err)
	r, err := c.OpenBackup(ctx, m)
	must(t, err)
	var good repo.Frame
	for f, err := range r.Files(ctx) {
		must(t, err)
		if f.Kind == repo.KindRelation {
			good = f.Frames[0]
		}
	}
	if _, err := r.ReadFrame(ctx, good, nil); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(f *repo.Frame){
		"offset":     func(f *repo.Frame) { f.Offset++ },
		"stored":     func(f *repo.Frame) { f.Stored-- },
		"raw":        func(f *repo.Frame) { f.Raw-- },
		"codec":      func(f *repo.Frame) { f.Codec = repo.CodecNone },
		"sum":        func(f *repo.Frame) { f.Sum++ },
		"hash index": func(f *repo.Frame) { f.HashIndex++ },
		"no hashes":  func(f *repo.Frame) { f.HashIndex = repo.NoHashes },
		"pages":      func(f *repo.Frame) { f.Runs = []repo.BlockRun{run(0, 1)} },
		"pack":       func(f *repo.Frame) { f.Pack = 2 },
		"no pack":    func(f *repo.Frame) { f.Pack = 0 },
		"far away":   func(f *repo.Frame) { f.Offset = 1 << 40 },
		"no frame":   func(f *repo.Frame) { *f = repo.Frame{} },
		"too large":  func(f *repo.Frame) { f.Raw, f.Stored = 1<<31, 1<<31 },
	} {
		f := good
		change(&f)
		if _, err := r.ReadFrame(ctx, f, nil); !errors.Is(err, repo.ErrCorrupt) || !strings.Contains(err.Error(), "pack") {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, r.Close())
	if _, err := r.ReadFrame(ctx, good, nil); err == nil {
		t.Error("read from a closed backup")
	}
}

// What cannot be a frame is refused, and nothing can be written to a backup that ended.
func TestWriteFrameRefuses(t *testing.T) {
	ctx := t.Context()
	c := newTestCluster(t, storetest.NewMemory())
	b, err := c.CreateBackup(ctx, fullID, zstd)
	must(t, err)
	for name, test := range map[string]struct{ bytes, hashes int }{
		"empty": {0, 0}, "too large": {repo.MaxFrame + 1, 0}, "pages of odd size": {8193, 2},
	} {
		w := b.NewPackWriter()
		if _, err := w.WriteFrame(ctx, make([]byte, test.bytes), make([]uint64, test.hashes)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	w := b.NewPackWriter()
	must(t, w.Close(ctx))
	if _, err := w.WriteFrame(ctx, make([]byte, 10), nil); err == nil {
		t.Error("write to a closed pack writer")
	}
	w = b.NewPackWriter()
	must(t, b.Abort(ctx))
	if _, err := w.WriteFrame(ctx, make([]byte, 10), nil); err == nil {
		t.Error("write after abort")
	}
}
