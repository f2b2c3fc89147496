package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Part is a stretch of a WAL segment that is still being written: the bytes from Begin to End, as offsets in the
// segment. Parts of a segment may overlap, then with the same content.
type Part struct {
	Segment    string
	Begin, End uint32
}

// object names the part: in its object, and in messages.
func (p Part) object() string { return fmt.Sprintf("%s.%08X-%08X", p.Segment, p.Begin, p.End) }

// parsePart is the inverse of object.
func parsePart(name string) (Part, bool) {
	const size = 24 + 1 + 8 + 1 + 8
	if len(name) != size || !pg.IsWALFileName(name[:24]) {
		return Part{}, false
	}
	begin, err1 := strconv.ParseUint(name[25:33], 16, 32)
	end, err2 := strconv.ParseUint(name[34:], 16, 32)
	p := Part{Segment: name[:24], Begin: uint32(begin), End: uint32(end)}
	return p, err1 == nil && err2 == nil && begin < end && p.object() == name
}

func (a *WALArchive) partObject(p Part) string { return a.partsOf(p.Segment[:8]) + p.object() }

// partsOf gives the directory of a timeline's parts.
func (a *WALArchive) partsOf(timeline string) string {
	return a.c.prefix + partsPrefix + timeline + "/"
}

// PutPart stores a part, which r gives. The commit point is the object's appearance. One of the same bounds
// that is there stays.
func (a *WALArchive) PutPart(ctx context.Context, p Part, r io.Reader) error {
	if _, ok := parsePart(p.object()); !ok {
		return fmt.Errorf("%q cannot be a part of a segment", p.object())
	}
	object := a.partObject(p)
	_, c, err := a.e.put(ctx, a.c.st, object, a.c.walHeader(kindWAL, p.object()), r)
	if errors.Is(err, ErrExists) {
		return nil
	}
	if err == nil && c.Size != uint64(p.End-p.Begin) {
		return errors.Join(fmt.Errorf("%s: %d bytes were given", object, c.Size), a.c.st.Delete(ctx, object))
	}
	return err
}

// Parts gives what is stored of segments that are not complete, of one timeline, by segment, begin and end.
func (a *WALArchive) Parts(ctx context.Context, timeline uint32) ([]Part, error) {
	return a.parts(ctx, a.partsOf(fmt.Sprintf("%08X", timeline)))
}

// AllParts gives those of all timelines, in the order of their names.
func (a *WALArchive) AllParts(ctx context.Context) ([]Part, error) {
	return a.parts(ctx, a.c.prefix+partsPrefix)
}

func (a *WALArchive) parts(ctx context.Context, prefix string) ([]Part, error) {
	found, err := a.c.st.List(ctx, prefix, true)
	if err != nil {
		return nil, err
	}
	var parts []Part
	for _, o := range found {
		if p, ok := parsePart(path.Base(o.Name)); ok {
			parts = append(parts, p)
		}
	}
	return parts, nil
}

// RemoveParts deletes parts. One that is not there is no error.
func (a *WALArchive) RemoveParts(ctx context.Context, parts ...Part) error {
	names := make([]string, len(parts))
	for i, p := range parts {
		names[i] = a.partObject(p)
	}
	return a.c.st.Delete(ctx, names...)
}

// segmentParts gives the parts of one segment; none where that is no segment's name.
func (a *WALArchive) segmentParts(ctx context.Context, segment string) ([]Part, error) {
	if !pg.IsWALFileName(segment) {
		return nil, nil
	}
	tli, err := strconv.ParseUint(segment[:8], 16, 32)
	if err != nil {
		return nil, err
	}
	parts, err := a.Parts(ctx, uint32(tli))
	return slices.DeleteFunc(parts, func(p Part) bool { return p.Segment != segment }), err
}

// PartialEnd says how far the parts of a segment reach from its beginning, in bytes; 0: there are none.
func (a *WALArchive) PartialEnd(ctx context.Context, segment string) (end int64, err error) {
	parts, err := a.segmentParts(ctx, segment)
	for p, ok := longest(parts, end); ok; p, ok = longest(parts, end) {
		end = int64(p.End)
	}
	return end, err
}

// CopyPartial writes a segment of which only parts are stored: its beginning as far as they reach without a gap, then
// zeros up to size. It fails with ErrNotFound where nothing of the beginning is stored, or no longer; something may
// have been written then. What was written is right only if it does not fail.
//
// A receiver may replace parts by one of them all at any moment: then it looks again, and goes on where it was.
func (a *WALArchive) CopyPartial(ctx context.Context, segment string, size int64, w io.Writer) (end int64, err error) {
	const tries = 20
	for range tries {
		parts, err := a.segmentParts(ctx, segment)
		if err != nil {
			return 0, err
		}
		parts = slices.DeleteFunc(parts, func(p Part) bool { return int64(p.End) > size })
		if _, ok := longest(parts, 0); !ok {
			return 0, fmt.Errorf("%s: %w", segment, ErrNotFound)
		}
		end, err = a.copyParts(ctx, parts, end, w)
		if err == nil {
			_, err = io.CopyN(w, zeros{}, size-end)
			return end, err
		}
		if !errors.Is(err, ErrNotFound) {
			return 0, err
		}
	}
	return 0, fmt.Errorf("%s: its parts were replaced %d times while they were read", segment, tries)
}

// copyParts writes those of the parts that lead farthest on, from an offset of the segment on, and tells up to
// which it came, also when it fails.
func (a *WALArchive) copyParts(ctx context.Context, parts []Part, from int64, w io.Writer) (end int64, err error) {
	end = from
	for p, ok := longest(parts, end); ok && err == nil; p, ok = longest(parts, end) {
		var n int64
		n, err = a.copyPart(ctx, p, end, w)
		end += n
	}
	return end, err
}

// copyPart writes a part from an offset of the segment on, and tells how many bytes, also when it fails.
func (a *WALArchive) copyPart(ctx context.Context, p Part, from int64, w io.Writer) (n int64, err error) {
	r, err := openEnvelope(ctx, a.c.st, a.c.d, a.partObject(p), a.c.walHeader(kindWAL, p.object()))
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	if _, err := io.CopyN(io.Discard, r, from-int64(p.Begin)); err != nil {
		return 0, noEOF(err)
	}
	n, err = io.Copy(w, r) // to its end, where its checksum is verified
	if err == nil && n != int64(p.End)-from {
		err = fmt.Errorf("%s: %w: %d bytes from %d on", p.object(), ErrCorrupt, n, from)
	}
	return n, err
}

// longest gives the part that leads farthest on from a position.
func longest(parts []Part, from int64) (best Part, ok bool) {
	for _, p := range parts {
		if int64(p.Begin) <= from && int64(p.End) > max(from, int64(best.End)) {
			best, ok = p, true
		}
	}
	return best, ok
}

// noEOF makes an early end an error that says so.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: cut off", ErrCorrupt)
	}
	return err
}

// zeros is an endless reader of them.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
