package repo

import (
	"context"
	"encoding/binary"
	"fmt"
)

// hashes appends count page hashes of a pack, those from first on. It reads the frames of the
// hash object that hold them, in one read.
func (r *BackupReader) hashes(ctx context.Context, pack, first, count uint32, dst []uint64) ([]uint64, error) {
	if count == 0 {
		return dst, nil
	}
	key := objectKey{kindHashes, pack}
	o, err := r.cache.get(ctx, key)
	if err != nil {
		return nil, err
	}
	defer o.done()
	dst, err = o.hashes(first, count, dst)
	if err != nil {
		return nil, fmt.Errorf("%s%s: hash %d: %w", r.prefix, key.name(), first, err)
	}
	return dst, nil
}

// hashes is BackupReader.hashes on the open object.
func (o *cachedObject) hashes(first, count uint32, dst []uint64) ([]uint64, error) {
	tag := int64(o.bind.overhead())
	stride := hashStride + tag
	begin := o.bind.start + int64(first/hashBlock)*stride
	end := o.bind.start + int64((uint64(first)+uint64(count)-1)/hashBlock+1)*stride
	end = min(end, o.Size()-frameHeaderSize-endSize-tag)
	if begin >= end {
		return nil, fmt.Errorf("%w: the object ends before", ErrCorrupt)
	}
	b := make([]byte, end-begin)
	if err := readAt(o, b, begin); err != nil {
		return nil, err
	}
	skip := first % hashBlock
	next := first - skip
	for off := begin; len(b) > 0 && count > 0; off += stride {
		h, err := parseFrameHeader(b, o.bind, off)
		if err != nil {
			return nil, err
		}
		if h.Kind != frameHashes || h.First != next || h.Raw != h.Count*8 || h.Codec != CodecNone ||
			int(h.Stored) > len(b)-frameHeaderSize {
			return nil, fmt.Errorf("%w: not the hashes from %d on", ErrCorrupt, next)
		}
		payload := b[frameHeaderSize : frameHeaderSize+h.Stored]
		if err := h.verifyPayload(payload); err != nil {
			return nil, err
		}
		if payload, err = o.bind.open(h, payload, off); err != nil {
			return nil, err
		}
		for i := skip; i < h.Count && count > 0; i++ {
			dst = append(dst, binary.BigEndian.Uint64(payload[i*8:]))
			count--
		}
		skip = 0
		next += h.Count
		b = b[min(int(stride), len(b)):]
	}
	if count > 0 {
		return nil, fmt.Errorf("%w: %d hashes are missing", ErrCorrupt, count)
	}
	return dst, nil
}
