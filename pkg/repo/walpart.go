package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	found, err := a.c.st.List(ctx, a.partsOf(fmt.Sprintf("%08X", timeline)), false)
	if err != nil {
		return nil, err
	}
	var parts []Part
	for _, o := range found {
		if p, ok := parsePart(o.Name); ok {
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

// PartialEnd says how far the parts of a segment reach from its beginning, in bytes; 0: there are none.
func (a *WALArchive) PartialEnd(ctx context.Context, segment string) (end int64, err error) {
	tli, err := strconv.ParseUint(segment[:min(len(segment), 8)], 16, 32)
	if err != nil {
		return 0, err
	}
	parts, err := a.Parts(ctx, uint32(tli))
	if err != nil {
		return 0, err
	}
	parts = slices.DeleteFunc(parts, func(p Part) bool { return p.Segment != segment })
	for p, ok := longest(parts, end); ok; p, ok = longest(parts, end) {
		end = int64(p.End)
	}
	return end, nil
}

// CopyPartial writes a segment of which only parts are stored: its beginning as far as they reach without a gap, then
// zeros up to size. It fails with ErrNotFound where nothing of the beginning is stored; something may
// have been written then. What was written is right only if it does not fail.
func (a *WALArchive) CopyPartial(ctx context.Context, segment string, size int64, w io.Writer) (end int64, err error) {
	if !pg.IsWALFileName(segment) {
		return 0, fmt.Errorf("%s: %w", segment, ErrNotFound)
	}
	chain, err := a.openChain(ctx, segment, size)
	for _, p := range chain {
		if err == nil {
			err = hideNotExist(p.copy(w, end)) // there it was
			end = int64(p.End)
		}
		err = errors.Join(err, p.r.Close())
	}
	if err == nil && end == 0 {
		err = fmt.Errorf("%s: %w", segment, ErrNotFound)
	}
	if err != nil {
		return 0, err
	}
	_, err = io.CopyN(w, zeros{}, size-end)
	return end, err
}

// openPart is a part that is being read.
type openPart struct {
	Part
	r *envelopeReader
}

// openChain opens parts that follow one another from the beginning of a segment. A receiver may replace parts by one
// of them all at any moment: then it looks again.
func (a *WALArchive) openChain(ctx context.Context, segment string, size int64) (chain []openPart, err error) {
	const tries = 20
	tli, err := strconv.ParseUint(segment[:8], 16, 32)
	if err != nil {
		return nil, err
	}
	for try := 0; ; try++ {
		parts, err := a.Parts(ctx, uint32(tli))
		if err != nil {
			return nil, err
		}
		parts = slices.DeleteFunc(parts, func(p Part) bool { return p.Segment != segment || int64(p.End) > size })
		chain, err = a.openParts(ctx, parts)
		if !errors.Is(err, ErrNotFound) || try == tries {
			return chain, hideNotExist(err)
		}
	}
}

// openParts opens those of the parts that lead farthest on.
func (a *WALArchive) openParts(ctx context.Context, parts []Part) (chain []openPart, err error) {
	end := int64(0)
	for p, ok := longest(parts, end); ok; p, ok = longest(parts, end) {
		r, err := openEnvelope(ctx, a.c.st, a.c.d, a.partObject(p), a.c.walHeader(kindWAL, p.object()))
		if err != nil {
			for _, p := range chain {
				err = errors.Join(err, p.r.Close())
			}
			return nil, err
		}
		chain = append(chain, openPart{p, r})
		end = int64(p.End)
	}
	return chain, nil
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

// copy writes the part from an offset of the segment on.
func (p openPart) copy(w io.Writer, from int64) error {
	if _, err := io.CopyN(io.Discard, p.r, from-int64(p.Begin)); err != nil {
		return noEOF(err)
	}
	n, err := io.Copy(w, p.r) // to its end, where its checksum is verified
	if err == nil && n != int64(p.End)-from {
		err = fmt.Errorf("%s: %w: %d bytes from %d on", p.object(), ErrCorrupt, n, from)
	}
	return err
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
