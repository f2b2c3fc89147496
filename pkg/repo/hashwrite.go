package repo

import (
	"context"
	"encoding/binary"
	"errors"

	"github.com/cespare/xxhash/v2"
)

// hashWriter writes the hash object of a pack.
type hashWriter struct {
	fw    *frameWriter
	count uint32 // hashes so far
	buf   []byte // header room and the hashes of the frame being filled
	sum   *xxhash.Digest
}

func (w *hashWriter) append(hashes []uint64) error {
	for _, h := range hashes {
		w.buf = binary.BigEndian.AppendUint64(w.buf, h)
		w.count++
		if w.count%hashBlock == 0 {
			if err := w.flush(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *hashWriter) flush() error {
	n := uint32(len(w.buf)-frameHeaderSize) / 8
	if n == 0 {
		return nil
	}
	_, _ = w.sum.Write(w.buf[frameHeaderSize:]) // never fails
	err := w.fw.append(&frameHeader{Kind: frameHashes, Raw: n * 8, Count: n, First: w.count - n}, w.buf)
	w.buf = w.buf[:frameHeaderSize]
	return err
}

func (w *hashWriter) commit(ctx context.Context) (Object, error) {
	if err := w.flush(); err != nil {
		return Object{}, errors.Join(err, w.fw.abort())
	}
	return w.fw.commit(ctx, w.sum.Sum64())
}
