package repo

import (
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
)

// indexReader gives the entries of an index in order. Not safe for concurrent use.
type indexReader struct {
	o     ObjectReader
	fr    *frameReader
	d     *decompressor
	g     pg.Geometry
	at    int64  // offset of the current block
	raw   []byte // of the current block
	rest  []byte
	left  uint32 // entries in rest
	block uint32 // number of the next one
	last  string
	state entryState
	sum   *xxhash.Digest
}

// newIndexReader reads o, which it closes, as the index with header want.
func newIndexReader(
	o ObjectReader, d *decompressor, name string, want objectHeader, g pg.Geometry,
) (*indexReader, error) {
	fr, err := newFrameReader(o, o.Size(), name, want)
	if err != nil {
		return nil, errors.Join(err, o.Close())
	}
	return &indexReader{o: o, fr: fr, d: d, g: g, sum: xxhash.New()}, nil
}

// next gives the next entry, in new memory. io.EOF: there are no more, and none is missing.
func (r *indexReader) next() (*File, error) {
	if r.left == 0 {
		if err := r.nextBlock(); err != nil {
			return nil, err
		}
	}
	f, err := r.decode()
	if err != nil {
		return nil, fmt.Errorf("%s: block at offset %d: %w: %w", r.fr.name, r.at, ErrCorrupt, err)
	}
	return f, nil
}

// nextBlock reads a block and verifies its number.
func (r *indexReader) nextBlock() error {
	r.at = r.fr.off
	h, payload, err := r.fr.next()
	if errors.Is(err, io.EOF) && r.sum.Sum64() != r.fr.stored.Sum {
		return fmt.Errorf("%s: %w: checksum of the content does not match", r.fr.name, ErrCorrupt)
	}
	if err != nil {
		return err
	}
	if h.Kind != frameEntries || h.First != r.block || h.Count == 0 {
		err = fmt.Errorf("%w: not block %d of an index", ErrCorrupt, r.block)
	} else {
		r.raw, err = r.d.append(r.raw, payload, h.Codec, int(h.Raw), h.page())
	}
	if err != nil {
		return fmt.Errorf("%s: offset %d: %w", r.fr.name, r.at, err)
	}
	_, _ = r.sum.Write(r.raw) // never fails
	r.block++
	r.rest, r.left, r.state = r.raw, h.Count, entryState{}
	return nil
}

// decode takes the next entry from rest and verifies it.
func (r *indexReader) decode() (*File, error) {
	outer := entryReader{b: r.rest}
	entry := entryReader{b: outer.bytes(outer.uvarint(maxIndexBlock))}
	if outer.err != nil {
		return nil, outer.err
	}
	f := &File{Path: r.state.readPath(&entry)}
	if err := r.state.readEntry(&entry, f); err != nil {
		return nil, err
	}
	r.rest = outer.b
	r.left--
	if r.left == 0 && len(r.rest) > 0 {
		return nil, fmt.Errorf("%d bytes follow the last entry", len(r.rest))
	}
	if r.last != "" && pg.ComparePaths(r.last, f.Path) >= 0 {
		return nil, fmt.Errorf("%s follows %s", f.Path, r.last)
	}
	r.last = f.Path
	return f, f.verify(r.g)
}

// close closes the object.
func (r *indexReader) close() error { return r.o.Close() }
