package repo

import (
	"fmt"
	"math"
	"strings"

	"github.com/pgincr/pgincr/pkg/pg"
)

// maxPath bounds the path of a file and the target of a link (PATH_MAX).
const maxPath = 4096

// VerifyPath refuses paths that would leave the data directory: absolute ones, empty
// elements, "." and "..", NUL bytes. The data directory itself is ".".
func VerifyPath(path string) error {
	if path == "." {
		return nil
	}
	if path == "" || len(path) > maxPath || strings.IndexByte(path, 0) >= 0 {
		return fmt.Errorf("path %q: not a path below the data directory", path)
	}
	for e := range strings.SplitSeq(path, "/") {
		if e == "" || e == "." || e == ".." {
			return fmt.Errorf("path %q: not a path below the data directory", path)
		}
	}
	return nil
}

// verify refuses an entry that does not make sense by itself. Both sides of the disk use it.
func (f *File) verify(g pg.Geometry) error {
	if err := VerifyPath(f.Path); err != nil {
		return err
	}
	var err error
	switch {
	case f.Size < 0:
		err = fmt.Errorf("size %d", f.Size)
	case f.Kind != KindLink && f.Link != "" || f.Kind == KindLink && (f.Link == "" || len(f.Link) > maxPath):
		err = fmt.Errorf("link target of %d bytes", len(f.Link))
	case f.Kind != KindFile && f.Sum != 0:
		err = fmt.Errorf("a content checksum on what is not a plain file")
	case f.Kind == KindDir || f.Kind == KindLink:
		if f.Size != 0 || len(f.Frames) > 0 || len(f.Zero) > 0 {
			err = fmt.Errorf("a directory or link with content")
		}
	case f.Kind == KindFile:
		err = f.verifyBytes()
	case f.Kind == KindRelation:
		err = f.verifyBlocks(g)
	default:
		err = fmt.Errorf("kind %d", f.Kind)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", f.Path, err)
	}
	return nil
}

// verifyFrame refuses a frame that no PackWriter returned.
func (f *Frame) verifyFrame() error {
	switch {
	case f.Pack == 0 || f.Offset < objectHeaderSize || f.Offset > math.MaxInt64-maxStored:
		return fmt.Errorf("frame at pack %d offset %d", f.Pack, f.Offset)
	case f.Codec > CodecDifferences || f.Codec == CodecDifferences && f.HashIndex == NoHashes:
		return fmt.Errorf("frame of codec %d", f.Codec)
	case f.Raw == 0 || f.Raw > MaxFrame:
		return fmt.Errorf("frame of %d bytes", f.Raw)
	case f.Stored < frameHeaderSize || f.Stored-frameHeaderSize > f.Raw+tagSize:
		return fmt.Errorf("frame of %d bytes stored in %d", f.Raw, f.Stored)
	}
	return nil
}

// maxStored bounds what a frame takes in a pack.
const maxStored = frameHeaderSize + MaxFrame + tagSize

// verifyBytes checks a KindFile.
func (f *File) verifyBytes() error {
	if len(f.Zero) > 0 {
		return fmt.Errorf("zero pages in a plain file")
	}
	if !f.Whole {
		if len(f.Frames) > 0 {
			return fmt.Errorf("frames in a file that is the parent's")
		}
		return nil
	}
	var raw int64
	for i := range f.Frames {
		fr := &f.Frames[i]
		if err := fr.verifyFrame(); err != nil {
			return err
		}
		if len(fr.Runs) > 0 || fr.HashIndex != NoHashes {
			return fmt.Errorf("pages in a plain file")
		}
		raw += int64(fr.Raw)
	}
	if raw != f.Size {
		return fmt.Errorf("frames of %d bytes for a file of %d", raw, f.Size)
	}
	return nil
}

// verifyBlocks checks a KindRelation: no block twice, all of them when it is whole.
func (f *File) verifyBlocks(g pg.Geometry) error {
	bs := int64(g.BlockSize)
	if f.Size%bs != 0 || f.Size/bs > int64(g.RelSegBlocks) {
		return fmt.Errorf("%d bytes cannot be a relation segment", f.Size)
	}
	n := uint64(f.Size / bs)
	seen := overlap{n: n}
	for i := range f.Frames {
		fr := &f.Frames[i]
		if err := fr.verifyFrame(); err != nil {
			return err
		}
		before := seen.count
		for _, r := range fr.Runs {
			if err := seen.add(r); err != nil {
				return err
			}
		}
		if (seen.count-before)*uint64(bs) != uint64(fr.Raw) || fr.HashIndex == NoHashes {
			return fmt.Errorf("frame of %d bytes and %d pages", fr.Raw, seen.count-before)
		}
	}
	for _, r := range f.Zero {
		if err := seen.add(r); err != nil {
			return err
		}
	}
	if seen.twice(f) {
		return fmt.Errorf("a block is there twice")
	}
	if f.Whole && seen.count != n {
		return fmt.Errorf("%d of %d blocks in a file that is whole", seen.count, n)
	}
	return nil
}

// overlap looks for blocks that come twice. As long as runs come in order none can; only
// when they do not is a bitmap needed.
type overlap struct {
	n, count uint64
	last     uint64 // end of the last run
	mixed    bool
}

// add counts a run and checks that it lies in the file.
func (o *overlap) add(r BlockRun) error {
	if r.Count == 0 || r.end() > o.n {
		return fmt.Errorf("blocks %d to %d of a file of %d", r.First, r.end(), o.n)
	}
	o.mixed = o.mixed || uint64(r.First) < o.last
	o.last = r.end()
	if o.count += uint64(r.Count); o.count > o.n {
		return fmt.Errorf("a block is there twice")
	}
	return nil
}

// twice looks through all runs of f if they were not in order.
func (o *overlap) twice(f *File) bool {
	if !o.mixed {
		return false
	}
	seen := newBits(pg.BlockNumber(o.n))
	for i := range f.Frames {
		for _, r := range f.Frames[i].Runs {
			if seen.setRun(r) != r.Count {
				return true
			}
		}
	}
	for _, r := range f.Zero {
		if seen.setRun(r) != r.Count {
			return true
		}
	}
	return false
}
