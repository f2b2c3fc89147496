package pg

import "hash/crc32"

// castagnoli is the table of CRC-32C, which PostgreSQL uses for WAL records,
// pg_control and backup manifests (port/pg_crc32c.h).
//
//nolint:gochecknoglobals // a table
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// CRC32C gives the CRC-32C of b.
func CRC32C(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// UpdateCRC32C gives the CRC-32C of what crc is the CRC of, followed by b.
func UpdateCRC32C(crc uint32, b []byte) uint32 { return crc32.Update(crc, castagnoli, b) }

// crcPoly is the polynomial of CRC-32C with the bits of a CRC: the highest
// bit is the coefficient of x^0, the lowest that of x^31.
const crcPoly = 0x82F63B78

// crcOne is the polynomial 1.
const crcOne = 1 << 31

// crcMul multiplies two polynomials modulo that of CRC-32C.
func crcMul(a, b uint32) uint32 {
	var p uint32
	for a != 0 {
		// Without branches, which no processor could predict.
		p ^= b & uint32(int32(a)>>31)
		b = b>>1 ^ crcPoly&-(b&1)
		a <<= 1
	}
	return p
}

// crcPower gives x^(8n): what n zero bytes after a message multiply its CRC with.
func crcPower(n uint64) uint32 {
	p := uint32(crcOne)
	for k := 0; n != 0; k, n = k+1, n>>1 {
		if n&1 != 0 {
			p = crcMul(crcSquares[k], p)
		}
	}
	return p
}

// crcSquares holds x^(8·2^k).
//
//nolint:gochecknoglobals // a table
var crcSquares = func() (t [64]uint32) {
	t[0] = crcOne >> 8
	for k := 1; k < len(t); k++ {
		t[k] = crcMul(t[k-1], t[k-1])
	}
	return t
}()

// CombineCRC32C gives the CRC-32C of two pieces in a row from that of each:
// a of the first, b of the second, which is lenB bytes long.
func CombineCRC32C(a, b uint32, lenB int64) uint32 { return crcMul(a, crcPower(uint64(lenB))) ^ b }

// CRC32COfZeros gives the CRC-32C of n zero bytes.
func CRC32COfZeros(n int64) uint32 { return ^crcMul(^uint32(0), crcPower(uint64(n))) }

// CRC32CShift is CombineCRC32C made fast for second pieces of one length, such as pages: four table
// look-ups. It is 4 KiB large and safe for concurrent use.
type CRC32CShift struct{ table [4][256]uint32 }

// NewCRC32CShift makes the tables for second pieces of lenB bytes.
func NewCRC32CShift(lenB int64) *CRC32CShift {
	s := new(CRC32CShift)
	power := crcPower(uint64(lenB))
	for i := range s.table {
		t := &s.table[i]
		for bit := range 8 {
			t[1<<bit] = crcMul(1<<(8*i+bit), power)
		}
		for v := 1; v < len(t); v++ { // the map is linear
			t[v] = t[v&(v-1)] ^ t[v&-v]
		}
	}
	return s
}

// Combine gives the CRC-32C of two pieces in a row: a of the first, b of the
// second, whose length is the one that the shift was made for.
func (s *CRC32CShift) Combine(a, b uint32) uint32 {
	return s.table[0][a&0xFF] ^ s.table[1][a>>8&0xFF] ^ s.table[2][a>>16&0xFF] ^ s.table[3][a>>24] ^ b
}
