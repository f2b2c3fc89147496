package repo

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
)

// readAhead is how much of an object is read at a time by those who read it from end to end.
// Whoever joins the indexes of a chain has this for each backup.
const readAhead = 256 << 10

// frameReader reads the frames of one object in order. Not safe for concurrent use.
type frameReader struct {
	r      *bufio.Reader
	name   string // for messages
	bind   *binding
	size   int64
	off    int64 // of the next frame
	frames uint32
	tail   end // of what was read so far
	ended  bool
	blind  bool // payloads are verified and not decrypted, for who cannot
	whole  bool // the last frame's header was right: next can go on although the payload was not
	stored end  // what the end frame says
	buf    []byte
	head   [frameHeaderSize]byte
}

// newFrameReader reads the object's header, which must be want.
func newFrameReader(r io.ReaderAt, size int64, name string, want objectHeader) (*frameReader, error) {
	fr := &frameReader{name: name, size: size}
	return fr, fr.start(io.NewSectionReader(r, 0, size), want)
}

// start reads the object's header, which must be want, from r, which gives the whole object.
func (fr *frameReader) start(r io.Reader, want objectHeader) error {
	fr.r = bufio.NewReaderSize(r, int(min(readAhead, max(fr.size, 16))))
	b := make([]byte, want.size())
	n, err := io.ReadFull(fr.r, b)
	if err != nil && !isShort(err) {
		return fmt.Errorf("%s: %w", fr.name, err)
	}
	fr.bind, err = want.open(fr.name, b[:n])
	if err != nil {
		return fmt.Errorf("%s: %w", fr.name, err)
	}
	fr.off = fr.bind.start
	return nil
}

// isShort says whether a read came to the end of the data.
func isShort(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// next gives the next frame before the end frame, verified, with its payload as it is
// stored, valid until the next call. io.EOF: the end frame was there and agrees with what
// came before, and nothing follows.
func (fr *frameReader) next() (h frameHeader, payload []byte, err error) {
	if fr.ended {
		return h, nil, io.EOF
	}
	at := fr.off
	h, payload, err = fr.read()
	if err == nil && h.Kind == frameEnd {
		if err = fr.end(h, payload); err == nil {
			return h, nil, io.EOF
		}
	}
	if err != nil {
		return h, nil, fmt.Errorf("%s: offset %d: %w", fr.name, at, err)
	}
	return h, payload, nil
}

// read gives the frame at fr.off, whatever its kind.
func (fr *frameReader) read() (frameHeader, []byte, error) {
	fr.whole = false
	n, err := io.ReadFull(fr.r, fr.head[:])
	if err != nil && !isShort(err) {
		return frameHeader{}, nil, err
	}
	h, err := parseFrameHeader(fr.head[:n], fr.bind, fr.off)
	if err != nil {
		return h, nil, err
	}
	if int64(h.Stored) > fr.size-fr.off-frameHeaderSize {
		return h, nil, fmt.Errorf("%w: frame of %d bytes is cut off", ErrCorrupt, h.Stored)
	}
	fr.buf = slices.Grow(fr.buf[:0], int(h.Stored))[:h.Stored]
	if _, err := io.ReadFull(fr.r, fr.buf); err != nil {
		if isShort(err) {
			err = fmt.Errorf("%w: frame of %d bytes is cut off", ErrCorrupt, h.Stored)
		}
		return h, nil, err
	}
	at := fr.off
	fr.off += frameHeaderSize + int64(h.Stored)
	if h.Kind != frameEnd {
		fr.whole = true
		fr.frames++
		fr.tail.Raw += uint64(h.Raw)
		fr.tail.Items += uint64(h.Count)
	}
	if err := h.verifyPayload(fr.buf); err != nil {
		return h, nil, err
	}
	if fr.blind && h.Kind != frameEnd {
		return h, nil, nil
	}
	payload, err := fr.bind.open(h, fr.buf, at)
	return h, payload, err
}

// end checks the end frame against what was read.
func (fr *frameReader) end(h frameHeader, payload []byte) error {
	e, err := parseEnd(payload)
	if err != nil {
		return err
	}
	if h.Codec != CodecNone || h.First != 0 || h.Count != fr.frames || e.Raw != fr.tail.Raw || e.Items != fr.tail.Items {
		return fmt.Errorf("%w: frames are missing before the end", ErrCorrupt)
	}
	if fr.off != fr.size {
		return fmt.Errorf("%w: %d bytes follow the end", ErrCorrupt, fr.size-fr.off)
	}
	fr.ended, fr.stored = true, e
	return nil
}

// walk reads to the end without decrypting anything but the end frame, and tells what that says
// of the content.
func (fr *frameReader) walk(ctx context.Context) (content, error) {
	fr.blind = true
	for {
		if err := ctx.Err(); err != nil {
			return content{}, err
		}
		h, _, err := fr.next()
		if errors.Is(err, io.EOF) {
			return content{Size: fr.stored.Raw, Sum: fr.stored.Sum}, nil
		}
		if err == nil && h.Kind != frameBytes {
			err = fmt.Errorf("%s: %w: not a frame of bytes", fr.name, ErrCorrupt)
		}
		if err != nil {
			return content{}, err
		}
	}
}
