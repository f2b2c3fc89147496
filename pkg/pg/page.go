package pg

import (
	"bytes"
	"encoding/binary"
)

// Page is one block of a relation file, of Geometry.BlockSize bytes
// (storage/bufpage.h).
type Page []byte

// PageHeaderSize is the size of PageHeaderData without line pointers.
const PageHeaderSize = 24

// Offsets of fields in PageHeaderData, and the flag that says that all tuples are visible to everyone.
const (
	offPageChecksum = 8
	offPageFlags    = 10
	offPageUpper    = 14

	pageAllVisible = 0x0004
)

// LSN gives pd_lsn: the end of the last WAL record that changed the page.
func (p Page) LSN() LSN {
	h := (*[8]byte)(p)
	hi := binary.LittleEndian.Uint32(h[0:])
	lo := binary.LittleEndian.Uint32(h[4:])
	return LSN(uint64(hi)<<32 | uint64(lo))
}

// IsNew says whether pd_upper is zero: the page was never initialised.
func (p Page) IsNew() bool { return p[offPageUpper] == 0 && p[offPageUpper+1] == 0 }

// AllVisible says whether PD_ALL_VISIBLE is set.
func (p Page) AllVisible() bool { return p[offPageFlags]&pageAllVisible != 0 }

// StoredChecksum gives pd_checksum.
func (p Page) StoredChecksum() uint16 { return binary.LittleEndian.Uint16(p[offPageChecksum:]) }

// zeros is as long as the largest page.
//
//nolint:gochecknoglobals // a table
var zeros [32768]byte

// IsZero says whether every byte is zero.
func (p Page) IsZero() bool {
	for b := []byte(p); ; b = b[len(zeros):] {
		if len(b) <= len(zeros) {
			return bytes.Equal(b, zeros[:len(b)])
		}
		if !bytes.Equal(b[:len(zeros)], zeros[:]) {
			return false
		}
	}
}
