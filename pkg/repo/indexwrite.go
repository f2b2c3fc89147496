package repo

import (
	"context"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
)

const (
	// indexBlock is how many bytes of entries make a block; the last entry goes beyond it.
	indexBlock = 256 << 10
	// maxIndexBlock bounds a block, and so an entry.
	maxIndexBlock = 64 << 20
)

// indexWriter writes the index of a backup: blocks of entries. It holds one block. Not safe
// for concurrent use.
type indexWriter struct {
	fw      *frameWriter // nil: begin makes it when the first block is full
	begin   func() (*frameWriter, error)
	g       pg.Geometry
	z       *compressor
	last    string // path of the last entry
	state   entryState
	raw     []byte // the block being filled
	entry   []byte
	frame   []byte
	entries uint32 // in raw
	blocks  uint32
	sum     *xxhash.Digest // over the blocks' content
}

func newIndexWriter(fw *frameWriter, g pg.Geometry, z Compression) (*indexWriter, error) {
	c, err := newCompressor(z)
	return &indexWriter{fw: fw, g: g, z: c, sum: xxhash.New()}, err
}

// append adds an entry.
func (w *indexWriter) append(f *File) error {
	if err := f.verify(w.g); err != nil {
		return err
	}
	if w.last != "" && pg.ComparePaths(w.last, f.Path) >= 0 {
		return fmt.Errorf("%s: comes after %s in the index", f.Path, w.last)
	}
	w.entry = w.state.appendEntry(w.entry[:0], f)
	if len(w.entry) > maxIndexBlock-indexBlock-binary.MaxVarintLen64 {
		return fmt.Errorf("%s: index entry of %d bytes", f.Path, len(w.entry))
	}
	w.raw = binary.AppendUvarint(w.raw, uint64(len(w.entry)))
	w.raw = append(w.raw, w.entry...)
	w.last = f.Path
	w.entries++
	if len(w.raw) >= indexBlock {
		return w.flush()
	}
	return nil
}

// flush writes the block.
func (w *indexWriter) flush() error {
	if w.entries == 0 {
		return nil
	}
	if w.frame == nil {
		w.frame = make([]byte, frameHeaderSize)
	}
	if w.fw == nil {
		var err error
		if w.fw, err = w.begin(); err != nil {
			return err
		}
	}
	h := frameHeader{Kind: frameEntries, Raw: uint32(len(w.raw)), Count: w.entries, First: w.blocks}
	w.frame, h.Codec = w.z.append(w.frame[:frameHeaderSize], w.raw)
	if err := w.fw.append(&h, w.frame); err != nil {
		return err
	}
	_, _ = w.sum.Write(w.raw) // never fails
	w.blocks++
	w.entries, w.raw, w.state = 0, w.raw[:0], entryState{}
	return nil
}

// commit publishes the index.
func (w *indexWriter) commit(ctx context.Context) (Object, error) {
	if err := w.flush(); err != nil {
		return Object{}, err
	}
	return w.fw.commit(ctx, w.sum.Sum64())
}
