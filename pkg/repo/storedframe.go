package repo

import (
	"context"
	"fmt"
	"slices"
)

// StoredFrame is a frame both as it is stored, so that it can be copied without compressing it again, and
// uncompressed. The zero value can be read into, again and again.
type StoredFrame struct {
	Raw []byte // uncompressed

	frame []byte // room for a header, then the payload, decrypted, with room for a tag
	codec Codec
}

// ReadStored reads a frame into s after verifying everything that covers it, as ReadFrame does.
func (r *BackupReader) ReadStored(ctx context.Context, f Frame, s *StoredFrame) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o, err := r.cache.get(ctx, objectKey{kindPack, f.Pack})
	if err != nil {
		return err
	}
	defer o.done()
	if err := r.readStored(o, &f, s); err != nil {
		return fmt.Errorf("%s%s: offset %d: %w", r.prefix, packObject(f.Pack), f.Offset, err)
	}
	return nil
}

func (r *BackupReader) readStored(o *cachedObject, f *Frame, s *StoredFrame) error {
	if err := f.verifyFrame(); err != nil {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	s.frame = slices.Grow(s.frame[:0], int(f.Stored)+tagSize)[:f.Stored]
	payload, err := o.frame(f, s.frame)
	if err != nil {
		return err
	}
	s.frame = s.frame[:frameHeaderSize+len(payload)]
	s.codec = f.Codec
	s.Raw, err = r.c.d.append(s.Raw, payload, f.Codec, int(f.Raw), f.header().page())
	return err
}
