package repo

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
)

// tagSize is what encryption adds to a payload.
const tagSize = 16

// binding is what holds frames to their object: the checksum of what stands before the first
// one and, in encrypted objects, the keys.
type binding struct {
	sum   uint64 // enters the checksum of every frame header
	start int64  // offset of the first frame
	// content seals all frames but the last; nil in objects that are not encrypted, and
	// where locked says why the key is not to be had.
	content cipher.AEAD
	// tail seals the last one. Its key follows from the metadata secret alone, so that who
	// cannot read a WAL file still learns what it holds: that is how the same file archived
	// again is told from another one.
	tail   cipher.AEAD
	locked error
}

// newAEAD gives AES-256-GCM.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// overhead is how many bytes a payload has besides what was compressed.
func (b *binding) overhead() uint32 {
	if b.tail == nil {
		return 0
	}
	return tagSize
}

// aead gives the key of a frame, or says why there is none.
func (b *binding) aead(k frameKind) (cipher.AEAD, error) {
	if k == frameEnd {
		return b.tail, nil
	}
	return b.content, b.locked
}

// offNonce is where the offset stands in a nonce.
const offNonce = 4

// nonce follows from where the frame begins, which no other frame of the object does, and each object
// has keys of its own: no nonce is used twice with a key.
func nonce(off int64) (n [offNonce + 8]byte) {
	binary.BigEndian.PutUint64(n[offNonce:], uint64(off))
	return n
}

// seal encrypts the payload of a frame in place. buf is the frame; the header's fields up to its
// checksums are filled and authenticated.
func (b *binding) seal(h *frameHeader, buf []byte, off int64) ([]byte, error) {
	if b.overhead() == 0 {
		return buf, nil
	}
	aead, err := b.aead(h.Kind)
	if err != nil {
		return nil, err
	}
	h.Stored += tagSize
	h.putFields(buf)
	n := nonce(off)
	payload := aead.Seal(buf[frameHeaderSize:frameHeaderSize], n[:], buf[frameHeaderSize:], buf[:offFrameSum])
	return append(buf[:frameHeaderSize], payload...), nil // which is there already, unless buf had no room
}

// open decrypts a payload in place.
func (b *binding) open(h frameHeader, payload []byte, off int64) ([]byte, error) {
	if b.overhead() == 0 {
		return payload, nil
	}
	aead, err := b.aead(h.Kind)
	if err != nil {
		return nil, err
	}
	var head [frameHeaderSize]byte
	h.putFields(head[:])
	n := nonce(off)
	plain, err := aead.Open(payload[:0], n[:], payload, head[:offFrameSum])
	if err != nil {
		return nil, fmt.Errorf("%w: frame: it cannot be decrypted, it was not written with the keys of this cluster",
			ErrCorrupt)
	}
	return plain, nil
}
