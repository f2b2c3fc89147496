package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// VerifyObject reads an object that the manifest lists and compares it with what the manifest
// says of it. Of a pack it reads only what is outside the frames, which ReadFrame verifies: header and end frame.
func (r *BackupReader) VerifyObject(ctx context.Context, o Object) error {
	var err error
	if number, ok := strings.CutSuffix(o.Name, ".pack"); ok {
		err = r.verifyPackEnds(ctx, number)
	} else {
		err = r.verifySum(ctx, o)
	}
	if err != nil {
		return fmt.Errorf("%s%s: %w", r.prefix, o.Name, err)
	}
	return nil
}

// verifySum compares the checksum of all bytes of an object.
func (r *BackupReader) verifySum(ctx context.Context, o Object) (err error) {
	f, err := r.c.st.Open(ctx, r.prefix+o.Name)
	if err != nil {
		return missing("object", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := xxhash.New()
	buf := make([]byte, readAhead)
	for off := int64(0); off < f.Size(); {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := f.ReadAt(buf[:min(int64(len(buf)), f.Size()-off)], off)
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if n == 0 {
			return fmt.Errorf("%w: cut off", ErrCorrupt)
		}
		_, _ = sum.Write(buf[:n]) // never fails
		off += int64(n)
	}
	if got := fmt.Sprintf("%016x", sum.Sum64()); f.Size() != o.Size || got != o.Sum {
		return fmt.Errorf("%w: %d bytes with checksum %s, want %d with %s", ErrCorrupt, f.Size(), got, o.Size, o.Sum)
	}
	return nil
}

// verifyPackEnds reads the header and the end frame of a pack.
func (r *BackupReader) verifyPackEnds(ctx context.Context, number string) error {
	n, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return fmt.Errorf("%w: not the name of a pack", ErrCorrupt)
	}
	o, err := r.cache.get(ctx, objectKey{kindPack, uint32(n)})
	if err != nil {
		return err
	}
	defer o.done()
	b := make([]byte, frameHeaderSize+endSize)
	off := o.Size() - int64(len(b))
	if off < objectHeaderSize {
		return fmt.Errorf("%w: cut off", ErrCorrupt)
	}
	if err := readAt(o, b, off); err != nil {
		return err
	}
	h, err := parseFrameHeader(b, o.objSum, off)
	if err != nil {
		return err
	}
	if h.Kind != frameEnd {
		return fmt.Errorf("%w: no end frame", ErrCorrupt)
	}
	return h.verifyPayload(b[frameHeaderSize:])
}
