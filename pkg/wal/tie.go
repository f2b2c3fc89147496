package wal

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Tie is how the archive stands to the server whose pg_wal is at hand.
type Tie struct {
	Compared int    // segments that both have and that are the same
	Foreign  string // a segment that both have and that differs; "": none
	// Behind: there was nothing to compare, but will be once the archive, which reaches up to pg_wal, gets this
	// segment, which is finished there; "": waiting does not help.
	Behind string
}

// Tied compares the oldest and the newest segment up to that of req.To which both req.Archive and req.Dir, or req.Held,
// have, byte for byte. Records of WAL name their predecessors by position only, and so WAL
// of one server may seem to go on in that of another: two of the same origin, on the same timeline. A whole segment
// that is the same in both places is of one line, and with it what is proved to lead up to it.
func Tied(ctx context.Context, req MapRequest) (Tie, error) {
	b := &builder{MapRequest: req}
	if err := b.prepare(); err != nil {
		return Tie{}, err
	}
	var t Tie
	first, last := b.Geometry.SegmentOf(b.from), b.Geometry.SegmentOf(b.to)
	own, err := b.ownSegments(first, last)
	if err != nil {
		return t, err
	}
	newest := last + 1
	for n := last + 1; n > own && newest > last; n-- {
		if ok, err := b.compare(ctx, n-1, &t); err != nil {
			return t, err
		} else if ok {
			newest = n - 1
		}
	}
	if newest > last {
		if own < last && own > first {
			t.Behind, err = b.behind(ctx, own)
		}
		return t, err
	}
	for n := own; n < newest; n++ {
		if ok, err := b.compare(ctx, n, &t); ok || err != nil {
			return t, err
		}
	}
	return t, nil
}

// ownSegments gives the first of the segments up to last that pg_wal has, or had when they were taken hold of, without
// a gap; last+1: none.
func (b *builder) ownSegments(first, last pg.SegNo) (pg.SegNo, error) {
	for n := last + 1; n > first; n-- {
		_, err := os.Stat(filepath.Join(b.Dir, b.segmentName(n-1)))
		if errors.Is(err, fs.ErrNotExist) {
			if b.Held.has(b.segmentName(n-1), n-1) {
				continue
			}
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return first, nil
}

// behind gives the name of segment n where it is the next that the archive will get, or "".
func (b *builder) behind(ctx context.Context, n pg.SegNo) (string, error) {
	upTo, err := b.Archive.Has(ctx, b.segmentName(n-1))
	if err != nil || !upTo {
		return "", err
	}
	return b.segmentName(n), nil
}

// compare compares a segment in both places, and says whether that told something.
func (b *builder) compare(ctx context.Context, n pg.SegNo, t *Tie) (compared bool, err error) {
	name, held := b.segmentName(n), false
	var f io.ReadCloser
	f, err = os.Open(filepath.Join(b.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		if held = b.Held.has(name, n); !held {
			return false, nil // archived, and so removed, a moment ago
		}
		f, err = b.Held.open(name), nil
	}
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	same, err := b.Archive.Same(ctx, name, f)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("WAL segment %s: %w", name, err)
	case same:
		t.Compared++
	case n == b.Geometry.SegmentOf(b.to):
		return false, nil // a standby may not have received all of it that its primary has archived
	case held && !b.Held.has(name, n):
		return false, nil // recycled, and written to meanwhile
	default:
		t.Foreign = name
	}
	return true, nil
}
