package repo

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// endSize is the size of the payload of an end frame: bytes, items and content checksum.
const endSize = 24

// end is the payload of an object's last frame.
type end struct {
	Raw   uint64 // uncompressed bytes of all frames before
	Items uint64 // sum of their counts
	Sum   uint64 // xxhash64 of the uncompressed content; 0 in packs, whose frames are no one stream
}

// marshal gives the payload.
func (e end) marshal() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, endSize), e.Raw)
	b = binary.BigEndian.AppendUint64(b, e.Items)
	return binary.BigEndian.AppendUint64(b, e.Sum)
}

// parseEnd is the inverse of marshal.
func parseEnd(b []byte) (end, error) {
	if len(b) != endSize {
		return end{}, fmt.Errorf("%w: end frame: %d bytes, want %d", ErrCorrupt, len(b), endSize)
	}
	return end{
		Raw:   binary.BigEndian.Uint64(b),
		Items: binary.BigEndian.Uint64(b[8:]),
		Sum:   binary.BigEndian.Uint64(b[16:]),
	}, nil
}

// frameWriter fills one object with frames: the header first, an end frame last. Not safe
// for concurrent use.
type frameWriter struct {
	w      ObjectWriter
	name   string // in the store
	bind   *binding
	off    int64
	all    *xxhash.Digest // over every byte
	frames uint32
	tail   end
}

// newFrameWriter begins an object.
func newFrameWriter(ctx context.Context, st Store, name string, h objectHeader) (*frameWriter, error) {
	b, bind, err := h.begin(name)
	if err != nil {
		return nil, err
	}
	w, err := st.Create(ctx, name)
	if err != nil {
		return nil, err
	}
	fw := &frameWriter{w: w, name: name, all: xxhash.New(), bind: bind}
	if err := fw.write(b); err != nil {
		return nil, errors.Join(err, w.Abort())
	}
	return fw, nil
}

func (fw *frameWriter) write(b []byte) error {
	if _, err := fw.w.Write(b); err != nil {
		return err
	}
	_, _ = fw.all.Write(b) // never fails
	fw.off += int64(len(b))
	return nil
}

// append writes a frame. buf is frameHeaderSize bytes of room followed by the payload; the
// header's Stored and Sum are filled here. In an encrypted object the payload is encrypted in
// place, and tagSize bytes of capacity spare a copy.
func (fw *frameWriter) append(h *frameHeader, buf []byte) error {
	h.Stored = uint32(len(buf) - frameHeaderSize)
	buf, err := fw.bind.seal(h, buf, fw.off)
	if err == nil {
		err = h.verify(fw.bind.overhead())
	}
	if err != nil {
		return fmt.Errorf("%s: %w", fw.name, err)
	}
	h.Sum = xxhash.Sum64(buf[frameHeaderSize:])
	h.put(buf, fw.bind.sum, fw.off)
	if err := fw.write(buf); err != nil {
		return err
	}
	fw.frames++
	if h.Kind != frameEnd {
		fw.tail.Raw += uint64(h.Raw)
		fw.tail.Items += uint64(h.Count)
	}
	return nil
}

// commit writes the end frame and publishes the object. sum is the checksum of the content,
// 0 for a pack.
func (fw *frameWriter) commit(ctx context.Context, sum uint64) (Object, error) {
	fw.tail.Sum = sum
	h := frameHeader{Kind: frameEnd, Raw: endSize, Count: fw.frames}
	buf := append(make([]byte, frameHeaderSize, frameHeaderSize+endSize+tagSize), fw.tail.marshal()...)
	if err := fw.append(&h, buf); err != nil {
		return Object{}, errors.Join(err, fw.w.Abort())
	}
	if err := fw.w.Commit(ctx); err != nil {
		return Object{}, err
	}
	return Object{Name: fw.name, Size: fw.off, Sum: fmt.Sprintf("%016x", fw.all.Sum64())}, nil
}

// abort drops the object.
func (fw *frameWriter) abort() error { return fw.w.Abort() }
