package backup

import (
	"bytes"
	"context"
	"iter"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/pgincr/pgincr/pkg/repo"
)

// memoryPack keeps frames in memory; hook is called before each one.
type memoryPack struct {
	mu     sync.Mutex
	frames [][]byte
	hashes [][]uint64
	hook   func() error
	closed int
}

func (p *memoryPack) WriteFrame(_ context.Context, raw []byte, hashes []uint64) (repo.Frame, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.hook != nil {
		if err := p.hook(); err != nil {
			return repo.Frame{}, err
		}
	}
	p.frames = append(p.frames, bytes.Clone(raw))
	p.hashes = append(p.hashes, slices.Clone(hashes))
	return repo.Frame{Offset: int64(len(p.frames) - 1), Raw: uint32(len(raw))}, nil
}

func (*memoryPack) Holds(context.Context, *repo.File) error { return nil }

func (p *memoryPack) Close(context.Context) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed++
	return nil
}

// copyTest is a copier on a fabricated data directory, with its index and pack in memory.
type copyTest struct {
	*copier
	root  string
	pack  memoryPack
	index collector
}

func newCopyTest(t *testing.T) *copyTest {
	t.Helper()
	c := &copyTest{root: testDataDir(t)}
	c.copier = &copier{
		walker:  newTestWalker(c.root),
		planner: planner{geometry: testGeometry},
		start:   testStart, checksums: true, jobs: 2,
		packs:  func() packWriter { return &c.pack },
		window: newWindow(testGeometry, c.index.append),
	}
	c.skipped = &warnings{log: slog.New(slog.DiscardHandler)}
	return c
}

// build makes the copy incremental: a parent with these files and this source.
func (c *copyTest) build(src source, files ...*repo.ChainFile) {
	c.source, c.compare = src, src
	c.parents = func(context.Context) iter.Seq2[*repo.ChainFile, error] {
		return func(yield func(*repo.ChainFile, error) bool) {
			for _, f := range files {
				if !yield(f, nil) {
					return
				}
			}
		}
	}
}

func (c *copyTest) mustRun(t *testing.T) copied {
	t.Helper()
	out, err := c.run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// find gives the entry of a path, nil when there is none.
func (c *copyTest) find(path string) *repo.File {
	for _, f := range c.index.files {
		if f.Path == path {
			return f
		}
	}
	return nil
}

// content puts a file together; what the backup does not have comes from parent.
func (c *copyTest) content(t *testing.T, path string, parent []byte) []byte {
	t.Helper()
	f := c.find(path)
	if f == nil {
		t.Fatalf("%s is not in the index", path)
	}
	if f.Kind == repo.KindFile {
		var out []byte
		for _, fr := range f.Frames {
			out = append(out, c.pack.frames[fr.Offset]...)
		}
		return out
	}
	size := int(testGeometry.BlockSize)
	out := make([]byte, f.Size)
	if !f.Whole {
		copy(out, parent)
	}
	for _, z := range f.Zero {
		clear(out[int(z.First)*size : int(z.First+z.Count)*size])
	}
	for _, fr := range f.Frames {
		raw, i := c.pack.frames[fr.Offset], 0
		for _, r := range fr.Runs {
			for blk := r.First; blk < r.First+r.Count; blk++ {
				page := raw[i*size : (i+1)*size]
				copy(out[int(blk)*size:], page)
				if want := repo.PageHash(page); c.pack.hashes[fr.Offset][i] != want {
					t.Errorf("%s: block %d: hash %x, want %x", path, blk, c.pack.hashes[fr.Offset][i], want)
				}
				i++
			}
		}
	}
	return out
}
