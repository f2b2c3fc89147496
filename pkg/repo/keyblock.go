package repo

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/keys"
)

// keyBlockSize is the size of the key block, which follows the header of an encrypted object.
const keyBlockSize = 320

// saltSize is the size of an object's salt.
const saltSize = 32

// Layout of a key block: generation, class, zero, length of the wrapped key, salt, wrapped
// key filled up with zeros, checksum of object header and key block.
const (
	offBlockClass   = 8
	offBlockZero    = 9
	offBlockLength  = 10
	offBlockZero2   = 12
	offBlockSalt    = 16
	offBlockWrapped = offBlockSalt + saltSize
	offBlockSum     = keyBlockSize - 8
	maxWrapped      = offBlockSum - offBlockWrapped
)

// keyClass says who reads an object.
type keyClass uint8

const (
	classMetadata keyClass = 1 // everybody who works with the cluster
	classData     keyClass = 2 // who may read pages and WAL
)

// class is that of all objects of a kind.
func (k objectKind) class() keyClass {
	switch k {
	case kindHashes, kindIndex, kindMap, kindFiles:
		return classMetadata
	case kindPack, kindControl, kindWAL, kindConfig:
	}
	return classData
}

// keyBlock is what leads to the keys of an encrypted object.
type keyBlock struct {
	Generation keys.ID
	Class      keyClass
	Salt       [saltSize]byte
	Wrapped    []byte // the data key, classData only
}

// marshal gives the block's bytes. head is the object's header, which the checksum covers, too.
func (k *keyBlock) marshal(head []byte) []byte {
	b := make([]byte, keyBlockSize)
	copy(b, k.Generation[:])
	b[offBlockClass] = byte(k.Class)
	binary.BigEndian.PutUint16(b[offBlockLength:], uint16(len(k.Wrapped)))
	copy(b[offBlockSalt:], k.Salt[:])
	copy(b[offBlockWrapped:offBlockSum], k.Wrapped)
	binary.BigEndian.PutUint64(b[offBlockSum:], blockSum(head, b))
	return b
}

// blockSum is the checksum of an encrypted object's header and key block.
func blockSum(head, block []byte) uint64 {
	d := xxhash.New()
	_, _ = d.Write(head)                // never fails
	_, _ = d.Write(block[:offBlockSum]) // never fails
	return d.Sum64()
}

// parseKeyBlock reads and verifies a block; sum is its checksum.
func parseKeyBlock(head, b []byte) (k keyBlock, sum uint64, err error) {
	if len(b) != keyBlockSize {
		return k, 0, fmt.Errorf("%w: key block: %d bytes, want %d", ErrCorrupt, len(b), keyBlockSize)
	}
	sum = binary.BigEndian.Uint64(b[offBlockSum:])
	if sum != blockSum(head, b) {
		return k, 0, fmt.Errorf("%w: key block: checksum does not match", ErrCorrupt)
	}
	n := int(binary.BigEndian.Uint16(b[offBlockLength:]))
	k.Class = keyClass(b[offBlockClass])
	switch {
	case b[offBlockZero] != 0 || binary.BigEndian.Uint32(b[offBlockZero2:]) != 0 || n > maxWrapped ||
		len(bytes.Trim(b[offBlockWrapped+n:offBlockSum], "\x00")) > 0:
		return k, 0, fmt.Errorf("%w: key block: reserved bytes are not zero", ErrCorrupt)
	case k.Class == classMetadata && n == 0, k.Class == classData && n == keys.WrappedSize:
	default:
		return k, 0, fmt.Errorf("%w: key block: class %d with a key of %d bytes", ErrCorrupt, k.Class, n)
	}
	copy(k.Generation[:], b)
	copy(k.Salt[:], b[offBlockSalt:])
	if n > 0 {
		k.Wrapped = bytes.Clone(b[offBlockWrapped:][:n])
	}
	return k, sum, nil
}
