package pg

import "encoding/binary"

// The checksum of a page is computed in 32 lanes side by side, each a variant
// of FNV-1a over every 32nd word (storage/checksum_impl.h).
const (
	checksumLanes   = 32
	checksumRowSize = checksumLanes * 4 // bytes that one step of all lanes takes
	fnvPrime        = 16777619
)

// checksumBaseOffsets are the initial values of the lanes.
//
//nolint:gochecknoglobals // a table
var checksumBaseOffsets = [checksumLanes]uint32{
	0x5B1F36E9, 0xB8525960, 0x02AB50AA, 0x1DE66D2A,
	0x79FF467A, 0x9BB9F8A3, 0x217E7CD2, 0x83E13D2C,
	0xF8D4474F, 0xE39EB970, 0x42C6AE16, 0x993216FA,
	0x7B093B5D, 0x98DAFF3C, 0xF718902A, 0x0B1C9CDB,
	0xE58F764B, 0x187636BC, 0x5D7B3BB1, 0xE73DE7DE,
	0x92BEC979, 0xCCA6C0B2, 0x304A0979, 0x85AA43D4,
	0x783125BB, 0x6CA8EAA2, 0xE407EAC6, 0x4B5CFC3E,
	0x9FBF8C76, 0x15CA20BE, 0xF2CA9FD3, 0x959BD756,
}

// Checksum computes the checksum of the page as block blkno of its fork
// (pg_checksum_page, storage/checksum_impl.h). The page is only read: the
// stored checksum is taken as zero without being changed. A page whose length is not that of a server's
// block has no checksum: the bytes after the last full row of 128 are ignored.
func (p Page) Checksum(blkno BlockNumber) uint16 {
	var result uint32
	for lane := 0; lane < checksumLanes; lane += 8 {
		result ^= p.checksumLanes(lane)
	}
	result ^= uint32(blkno)
	return uint16(result%65535 + 1)
}

// checksumLanes gives the folded sums of eight neighbouring lanes. Eight sums
// stay in registers over the whole page; a page is in the nearest cache for the passes after the first.
func (p Page) checksumLanes(lane int) uint32 {
	base := (*[8]uint32)(checksumBaseOffsets[lane:])
	s0, s1, s2, s3 := base[0], base[1], base[2], base[3]
	s4, s5, s6, s7 := base[4], base[5], base[6], base[7]
	mask := ^uint32(0)
	if lane == 0 {
		mask = 0xFFFF0000 // pd_checksum is the low half of word 2 of the first row
	}
	for off := lane * 4; off+32 <= len(p); off += checksumRowSize {
		w := (*[32]byte)(p[off:])
		s0 = checksumStep(s0, binary.LittleEndian.Uint32(w[0:]))
		s1 = checksumStep(s1, binary.LittleEndian.Uint32(w[4:]))
		s2 = checksumStep(s2, binary.LittleEndian.Uint32(w[8:])&mask)
		s3 = checksumStep(s3, binary.LittleEndian.Uint32(w[12:]))
		s4 = checksumStep(s4, binary.LittleEndian.Uint32(w[16:]))
		s5 = checksumStep(s5, binary.LittleEndian.Uint32(w[20:]))
		s6 = checksumStep(s6, binary.LittleEndian.Uint32(w[24:]))
		s7 = checksumStep(s7, binary.LittleEndian.Uint32(w[28:]))
		mask = ^uint32(0)
	}
	// Two rounds of zeros mix the last words.
	for range 2 {
		s0, s1 = checksumStep(s0, 0), checksumStep(s1, 0)
		s2, s3 = checksumStep(s2, 0), checksumStep(s3, 0)
		s4, s5 = checksumStep(s4, 0), checksumStep(s5, 0)
		s6, s7 = checksumStep(s6, 0), checksumStep(s7, 0)
	}
	return s0 ^ s1 ^ s2 ^ s3 ^ s4 ^ s5 ^ s6 ^ s7
}

// checksumStep is CHECKSUM_COMP.
func checksumStep(sum, value uint32) uint32 {
	t := sum ^ value
	return t*fnvPrime ^ t>>17
}
