package repo

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// FormatVersion is the format of what is not encrypted.
const FormatVersion = 1

// objectMagic opens every binary object.
const objectMagic = "pgincr\x1a\n"

// objectHeaderSize is the size of the header of every binary object.
const objectHeaderSize = 128

// maxHeaderName is the room for a name in an object header.
const maxHeaderName = 88

// objectKind tells what the frames of an object hold.
type objectKind uint32

const (
	kindPack    objectKind = 1
	kindHashes  objectKind = 2
	kindIndex   objectKind = 3
	kindControl objectKind = 4
	kindWAL     objectKind = 5
	kindMap     objectKind = 6
	kindConfig  objectKind = 7
	kindFiles   objectKind = 8
)

// String is for messages.
func (k objectKind) String() string {
	names := [...]string{
		kindPack: "pack", kindHashes: "page hashes", kindIndex: "index",
		kindControl: "control file", kindWAL: "WAL file", kindMap: "page map",
		kindConfig: "configuration", kindFiles: "list of a pack's files",
	}
	if k < 1 || int(k) >= len(names) {
		return fmt.Sprintf("object of kind %d", uint32(k))
	}
	return names[k]
}

// objectHeader is the identity of an object. Its checksum enters that of every frame, so
// that a frame of another object is never taken for one of this.
type objectHeader struct {
	Kind     objectKind
	Number   uint32 // of a pack and its hashes, from 1; else 0
	SystemID uint64
	Name     string // backup id, or the name of the WAL file or map
	// Encrypted: a key block follows, and the system identifier stands in no header.
	Encrypted bool

	vault *vault // that encrypts or decrypts the object
}

// size is that of the header with the key block.
func (h objectHeader) size() int64 {
	if h.Encrypted {
		return objectHeaderSize + keyBlockSize
	}
	return objectHeaderSize
}

// begin gives the bytes that an object called name in the store begins with.
func (h objectHeader) begin(name string) ([]byte, *binding, error) {
	b, err := h.marshal()
	if err != nil || !h.Encrypted {
		return b, &binding{sum: sumOf(b), start: objectHeaderSize}, err
	}
	block, bind, err := h.vault.create(h.Kind, name, b)
	return append(b, block...), bind, err
}

// open verifies that b, the beginning of the object called name in the store, is that of the
// object with this header, and finds its keys.
func (h objectHeader) open(name string, b []byte) (*binding, error) {
	found, sum, err := parseObjectHeader(b)
	if err == nil {
		err = found.expect(h)
	}
	if err != nil || !h.Encrypted {
		return &binding{sum: sum, start: objectHeaderSize}, err
	}
	return h.vault.open(h.Kind, name, b[:objectHeaderSize], b[objectHeaderSize:])
}

// sumOf is the checksum of a header, or nothing of none.
func sumOf(b []byte) uint64 {
	if len(b) < objectHeaderSize {
		return 0
	}
	return binary.BigEndian.Uint64(b[offHeaderSum:])
}

// Layout of an object header: magic, version, kind, number, zero, system identifier, name,
// checksum.
const (
	offHeaderVersion = 8
	offHeaderKind    = 12
	offHeaderNumber  = 16
	offHeaderZero    = 20
	offHeaderSystem  = 24
	offHeaderName    = 32
	offHeaderSum     = offHeaderName + maxHeaderName
)

// marshal gives the header's bytes; the last eight are its checksum.
func (h objectHeader) marshal() ([]byte, error) {
	if len(h.Name) > maxHeaderName || h.Name == "" || bytes.IndexByte([]byte(h.Name), 0) >= 0 {
		return nil, fmt.Errorf("%s %q: name must have 1 to %d bytes", h.Kind, h.Name, maxHeaderName)
	}
	b := make([]byte, objectHeaderSize)
	copy(b, objectMagic)
	binary.BigEndian.PutUint32(b[offHeaderVersion:], FormatVersion)
	if h.Encrypted {
		binary.BigEndian.PutUint32(b[offHeaderVersion:], EncryptedFormat)
	}
	binary.BigEndian.PutUint32(b[offHeaderKind:], uint32(h.Kind))
	binary.BigEndian.PutUint32(b[offHeaderNumber:], h.Number)
	binary.BigEndian.PutUint64(b[offHeaderSystem:], h.SystemID)
	copy(b[offHeaderName:], h.Name)
	binary.BigEndian.PutUint64(b[offHeaderSum:], xxhash.Sum64(b[:offHeaderSum]))
	return b, nil
}

// parseObjectHeader reads and verifies a header; sum is its checksum.
func parseObjectHeader(b []byte) (h objectHeader, sum uint64, err error) {
	if len(b) < objectHeaderSize {
		return h, 0, fmt.Errorf("%w: header: %d bytes, want %d", ErrCorrupt, len(b), objectHeaderSize)
	}
	b = b[:objectHeaderSize]
	if string(b[:offHeaderVersion]) != objectMagic {
		return h, 0, fmt.Errorf("%w: not an object of pgincr", ErrCorrupt)
	}
	sum = binary.BigEndian.Uint64(b[offHeaderSum:])
	intact := sum == xxhash.Sum64(b[:offHeaderSum])
	v := binary.BigEndian.Uint32(b[offHeaderVersion:])
	switch {
	case v > EncryptedFormat && intact:
		return h, 0, fmt.Errorf("format %d: %w", v, ErrNewer)
	case v > EncryptedFormat:
		return h, 0, fmt.Errorf("format %d: %w, or damaged: %w", v, ErrNewer, ErrCorrupt)
	case !intact:
		return h, 0, fmt.Errorf("%w: header: checksum does not match", ErrCorrupt)
	case v < FormatVersion:
		return h, 0, fmt.Errorf("%w: format %d", ErrCorrupt, v)
	}
	name, rest, _ := bytes.Cut(b[offHeaderName:offHeaderSum], []byte{0})
	if len(bytes.Trim(rest, "\x00")) > 0 || binary.BigEndian.Uint32(b[offHeaderZero:]) != 0 {
		return h, 0, fmt.Errorf("%w: header: reserved bytes are not zero", ErrCorrupt)
	}
	return objectHeader{
		Kind:     objectKind(binary.BigEndian.Uint32(b[offHeaderKind:])),
		Number:   binary.BigEndian.Uint32(b[offHeaderNumber:]),
		SystemID: binary.BigEndian.Uint64(b[offHeaderSystem:]),
		Name:     string(name),

		Encrypted: v == EncryptedFormat,
	}, sum, nil
}

// expect fails unless h is the header of the object that is wanted.
func (h objectHeader) expect(want objectHeader) error {
	switch {
	case h.Encrypted && !want.Encrypted:
		return fmt.Errorf("%w: it is encrypted, which its cluster is not", ErrCorrupt)
	case !h.Encrypted && want.Encrypted:
		return fmt.Errorf("%w: it is not encrypted, as all of its cluster is", ErrCorrupt)
	case h.Kind != want.Kind || h.Number != want.Number:
		return fmt.Errorf("%w: it is %s %d, want %s %d", ErrCorrupt, h.Kind, h.Number, want.Kind, want.Number)
	case h.Name != want.Name:
		return fmt.Errorf("%w: it belongs to %q, want %q", ErrCorrupt, h.Name, want.Name)
	case h.SystemID != want.SystemID:
		return fmt.Errorf("%w: it is of system identifier %d, want %d", ErrCorrupt, h.SystemID, want.SystemID)
	}
	return nil
}
