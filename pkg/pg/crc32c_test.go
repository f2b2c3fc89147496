package pg

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// CRC-32C is the one of RFC 3720, appendix B.4.
func TestCRC32C(t *testing.T) {
	if got := CRC32C(make([]byte, 32)); got != 0x8A9136AA {
		t.Errorf("32 zeros: %08X, want 8A9136AA", got)
	}
	if got := UpdateCRC32C(CRC32C([]byte("1234")), []byte("56789")); got != 0xE3069283 {
		t.Errorf("123456789 in two pieces: %08X, want E3069283", got)
	}
}

// The CRC of two pieces in a row follows from theirs, by both ways of combining.
func TestCombineCRC32C(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := rapid.SliceOf(rapid.Byte()).Draw(t, "a")
		b := rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(t, "b")
		want := UpdateCRC32C(CRC32C(a), b)
		if got := CombineCRC32C(CRC32C(a), CRC32C(b), int64(len(b))); got != want {
			t.Errorf("CombineCRC32C: %08X, want %08X", got, want)
		}
		if got := NewCRC32CShift(int64(len(b))).Combine(CRC32C(a), CRC32C(b)); got != want {
			t.Errorf("CRC32CShift: %08X, want %08X", got, want)
		}
		zeros := make([]byte, len(b))
		if got, want := CRC32COfZeros(int64(len(b))), CRC32C(zeros); got != want {
			t.Errorf("CRC32COfZeros: %08X, want %08X", got, want)
		}
	})
}

// The CRC of a file follows from that of its pieces, whatever their order and
// however they are spread over workers; what no piece covers is zeros.
func TestCRC32CSum(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		file := rapid.SliceOfN(rapid.Byte(), 0, 2000).Draw(t, "file")
		type piece struct{ from, to int }
		var pieces []piece
		for off := 0; off < len(file); {
			n := rapid.IntRange(1, len(file)-off).Draw(t, "length")
			if rapid.Bool().Draw(t, "hole") {
				clear(file[off : off+n])
			} else {
				pieces = append(pieces, piece{off, off + n})
			}
			off += n
		}
		pieces = rapid.Permutation(pieces).Draw(t, "order")
		sums := []*CRC32CSum{NewCRC32CSum(int64(len(file))), NewCRC32CSum(int64(len(file)))}
		for i, p := range pieces {
			sums[i%2].Add(int64(p.from), int64(p.to-p.from), CRC32C(file[p.from:p.to]))
		}
		sums[0].Merge(sums[1])
		if got, want := sums[0].Sum(), CRC32C(file); got != want {
			t.Errorf("%08X, want %08X", got, want)
		}
	})
}

// Lengths beyond 4 GiB are right too: combining is associative over them.
func TestCombineCRC32CLong(t *testing.T) {
	const n = 40 << 30
	a, b := CRC32C([]byte("a")), CRC32COfZeros(n)
	want := a
	for range 40 {
		want = CombineCRC32C(want, CRC32COfZeros(1<<30), 1<<30)
	}
	if got := CombineCRC32C(a, b, n); got != want {
		t.Errorf("%08X, want %08X", got, want)
	}
}

func BenchmarkCRC32CShift(b *testing.B) {
	s := NewCRC32CShift(8192)
	crc := rand.Uint32()
	for b.Loop() {
		crc = s.Combine(crc, 5)
	}
}

func BenchmarkCRC32CSumAdd(b *testing.B) {
	s := NewCRC32CSum(1 << 30)
	for b.Loop() {
		s.Add(123<<13, 8192, 5)
	}
}
