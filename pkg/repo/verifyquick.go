package repo

import (
	"context"
	"errors"
	"fmt"
	"math"
)

// quick looks whether all objects are there with their sizes, reads the index, and holds what it says of frames
// against the packs' sizes. No pack is read.
func (s *scan) quick(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, s.reader.Close()) }()
	there, err := s.v.c.st.List(ctx, s.reader.prefix, true)
	if err != nil {
		return err
	}
	sizes := sizesOf(there)
	for _, o := range s.m.Objects {
		err := s.present(o, sizes)
		if err == nil && o.Name == indexObject {
			err = s.object(ctx, o)
		}
		if err := s.fault(err, o.Name, ""); err != nil {
			return err
		}
	}
	return s.index(ctx)
}

// present compares an object with the listing.
func (s *scan) present(o Object, sizes map[string]int64) error {
	name := s.reader.prefix + o.Name
	if _, err := s.headerOf(o.Name); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	size, ok := sizes[o.Name]
	switch {
	case !ok:
		s.lacks(o.Name)
		return fmt.Errorf("%s: %w: it is missing", name, ErrCorrupt)
	case size != o.Size:
		s.lacks(o.Name)
		return fmt.Errorf("%s: %w: %d bytes, want %d", name, ErrCorrupt, size, o.Size)
	case o.Name != indexObject:
		s.v.count(func(n *VerifyStats) { n.Objects++ })
	}
	return nil
}

// within says whether a frame can be where the index has it: in a pack that is there, before its end frame,
// and its page hashes before that of theirs.
func (s *scan) within(f *Frame) bool {
	pack, ok := s.m.object(packObject(f.Pack))
	if !ok || s.bad(pack.Name) || f.Offset > pack.Size-endSize-frameHeaderSize-int64(f.Stored) {
		return false
	}
	if f.HashIndex == NoHashes {
		return true
	}
	hashes, ok := s.m.object(hashesObject(f.Pack))
	last := (uint64(f.HashIndex) + uint64(f.Pages())) * 8
	return ok && !s.bad(hashes.Name) && last <= math.MaxInt64 && int64(last) <= hashes.Size
}
