package pg

// CRC32CSum builds the CRC-32C of a file from those of its pieces, in any
// order. What no piece covers counts as zeros, so holes need no call. The
// pieces must not overlap. A CRC is affine: with the length known, every piece
// adds its own term. Not safe for concurrent use; see Merge.
type CRC32CSum struct {
	size  int64
	terms uint32
}

// NewCRC32CSum begins the sum of a file of size bytes.
func NewCRC32CSum(size int64) *CRC32CSum { return &CRC32CSum{size: size} }

// Add takes the piece of n bytes at offset off, whose CRC-32C is crc.
func (s *CRC32CSum) Add(off, n int64, crc uint32) {
	s.terms ^= crcMul(crc^CRC32COfZeros(n), crcPower(uint64(s.size-off-n)))
}

// Merge takes the pieces of another sum of the same file.
func (s *CRC32CSum) Merge(o *CRC32CSum) { s.terms ^= o.terms }

// Sum gives the CRC-32C of the file.
func (s *CRC32CSum) Sum() uint32 { return s.terms ^ CRC32COfZeros(s.size) }
