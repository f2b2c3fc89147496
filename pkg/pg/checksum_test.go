package pg

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// referenceChecksum is checksum_impl.h as it stands there: lane by lane, row by row.
func referenceChecksum(page []byte, blkno BlockNumber) uint16 {
	p := bytes.Clone(page)
	p[8], p[9] = 0, 0
	sums := checksumBaseOffsets
	comp := func(sum, value uint32) uint32 {
		tmp := sum ^ value
		return tmp*16777619 ^ (tmp >> 17)
	}
	for i := 0; i < len(p)/(4*32); i++ {
		for j := range 32 {
			sums[j] = comp(sums[j], binary.LittleEndian.Uint32(p[(i*32+j)*4:]))
		}
	}
	for range 2 {
		for j := range 32 {
			sums[j] = comp(sums[j], 0)
		}
	}
	var result uint32
	for j := range 32 {
		result ^= sums[j]
	}
	result ^= uint32(blkno)
	return uint16(result%65535 + 1)
}

// The unrolled checksum is the plain one for every block size, reads the page only, and does not
// depend on the checksum that is stored.
func TestChecksumEqualsReference(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for size := 1024; size <= 32768; size *= 2 {
		for range 20 {
			page := make(Page, size)
			for i := range page {
				page[i] = byte(rnd.Uint32())
			}
			before := bytes.Clone(page)
			blkno := BlockNumber(rnd.Uint32())
			want := referenceChecksum(page, blkno)
			if got := page.Checksum(blkno); got != want {
				t.Fatalf("size %d block %d: %04X, want %04X", size, blkno, got, want)
			}
			if !bytes.Equal(before, page) {
				t.Fatalf("size %d: Checksum changed the page", size)
			}
			binary.LittleEndian.PutUint16(page[8:], want)
			if got := page.Checksum(blkno); got != want || page.StoredChecksum() != want {
				t.Fatalf("size %d block %d with its checksum: %04X, want %04X", size, blkno, got, want)
			}
		}
	}
}

func BenchmarkChecksum(b *testing.B) {
	page := make(Page, 8192)
	for i := range page {
		page[i] = byte(i * 7)
	}
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		page.Checksum(7)
	}
}

func BenchmarkIsZero(b *testing.B) {
	page := make(Page, 8192)
	b.SetBytes(int64(len(page)))
	for b.Loop() {
		page.IsZero()
	}
}
