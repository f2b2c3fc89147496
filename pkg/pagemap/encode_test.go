package pagemap

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"runtime"
	"testing"

	"pgregory.net/rapid"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Decode gives the map back that was encoded.
func TestDecodeIsInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := build(drawSteps(t))
		if rapid.Bool().Draw(t, "large") {
			s, _ := drawSet(t)
			m.fork(drawFork(t)).blocks.Union(s)
			for rf, f := range m.forks { // an empty set may have made an empty entry
				if f.limit == NoLimit && f.blocks.isEmpty() {
					delete(m.forks, rf)
					m.last = nil
				}
			}
		}
		b := encoded(t, m)
		back, err := Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		for rf, c := range m.All() {
			d := back.Changes(rf)
			if c.Limit != d.Limit || c.Whole != d.Whole || c.Blocks.Len() != d.Blocks.Len() {
				t.Fatalf("%s: %+v became %+v", rf, c, d)
			}
			if d.Blocks != nil {
				verifyForms(t, d.Blocks)
			}
		}
		if !bytes.Equal(encoded(t, back), b) {
			t.Fatal("the decoded map has another encoding")
		}
	})
}

// golden is a small map with each part of the format; docs/format.md shows its bytes.
func golden() *Map {
	m := New()
	m.AddDatabase(1663, 16400)
	m.AddBlock(relFork(1663, 5, 16384, pg.MainFork), 0)
	m.AddBlock(relFork(1663, 5, 16384, pg.MainFork), 1)
	m.AddBlock(relFork(1663, 5, 16384, pg.MainFork), 300)
	m.AddBlock(relFork(1663, 5, 16384, pg.MainFork), 65536)
	m.AddLimit(relFork(1663, 5, 16384, pg.VMFork), 1)
	m.AddLimit(relFork(1663, 5, 16390, pg.MainFork), 0)
	return m
}

const goldenHex = "" +
	"7067696e6372504d" + "0001" + "0000" + "00000001" + "00000003" +
	"0000067f" + "00004010" +
	"ff0c" + "05" + "808001" + "00" + "00" + "02" + "00" + "02" + "0001" + "a90200" + "00" + "01" + "0000" +
	"00" + "00" + "00" + "02" + "02" + "00" +
	"00" + "00" + "06" + "00" + "01" + "00" +
	"385b488a"

// The encoding is the one that the format document pins.
func TestGolden(t *testing.T) {
	want, err := hex.DecodeString(goldenHex)
	if err != nil {
		t.Fatal(err)
	}
	if got := encoded(t, golden()); !bytes.Equal(got, want) {
		t.Errorf("encoding\n%x, want\n%x", got, want)
	}
}

// seal gives body a right checksum.
func seal(body []byte) []byte {
	return binary.BigEndian.AppendUint32(bytes.Clone(body), pg.CRC32C(body))
}

// A version of the future is told apart from damage, and damage is never decoded.
func TestDecodeRefuses(t *testing.T) {
	good := encoded(t, golden())
	body := good[:len(good)-checksumSize]
	newer := bytes.Clone(good)
	newer[9] = 2
	if _, err := Decode(newer); !errors.Is(err, ErrNewer) {
		t.Errorf("version 2: %v, want ErrNewer", err)
	}
	for i := range good {
		if i == 8 || i == 9 {
			continue // the version
		}
		bad := bytes.Clone(good)
		bad[i] ^= 0x10
		if _, err := Decode(bad); err == nil || errors.Is(err, ErrNewer) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for n := range good {
		if _, err := Decode(good[:n]); err == nil {
			t.Errorf("the first %d bytes are decoded", n)
		}
	}
	for n := headerSize; n < len(body); n++ {
		if _, err := Decode(seal(body[:n])); err == nil {
			t.Errorf("the first %d bytes, sealed, are decoded", n)
		}
	}
	if _, err := Decode(seal(append(bytes.Clone(body), 0))); err == nil {
		t.Error("a byte too many is decoded")
	}
}

// header makes the beginning of a map.
func header(databases, forks uint32) []byte {
	b := append([]byte(magic), 0, formatVersion, 0, 0)
	b = binary.BigEndian.AppendUint32(b, databases)
	return binary.BigEndian.AppendUint32(b, forks)
}

// Sealed encodings that AppendBinary never writes are refused.
func TestDecodeIsStrict(t *testing.T) {
	one := func(fork ...byte) []byte { return append(header(0, 1), fork...) }
	for name, b := range map[string][]byte{
		"reserved":            append([]byte(magic), 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0),
		"huge count":          header(0xFFFFFFFF, 0),
		"huge fork count":     header(0, 0xFFFFFFFF),
		"databases unordered": append(header(2, 0), 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1),
		"fork number 4":       one(1, 1, 1, 4, 1, 0),
		"empty fork":          one(1, 1, 1, 0, 0, 0),
		"same fork twice":     append(header(0, 2), 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 1, 0),
		"long number":         one(0x81, 0x00, 1, 1, 0, 1, 0),
		"number over 64 bits": one(0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F),
		"limit over 32 bits":  one(1, 1, 1, 0, 0x80, 0x80, 0x80, 0x80, 0x10, 0),
		"chunk over 65535":    one(1, 1, 1, 0, 0, 2, 0xFF, 0xFF, 3, 1, 0, 0, 0, 1, 0, 0),
		"empty chunk":         one(1, 1, 1, 0, 0, 1, 0, 0),
		"run over the end":    one(1, 1, 1, 0, 0, 1, 0, 1, 1, 0xFF, 0xFF, 3),
		"too many runs":       one(1, 1, 1, 0, 0, 1, 0, 0x81, 0x80, 2),
		"bitmap of few runs":  append(one(1, 1, 1, 0, 0, 1, 0, 0x81, 0x10), make([]byte, bitmapSize)...),
	} {
		if _, err := Decode(seal(b)); err == nil {
			t.Errorf("%s: decoded", name)
		}
	}
}

// Decode allocates at most 32 times its input, whatever it is.
func TestDecodeIsBounded(t *testing.T) {
	limits := New() // forks with nothing but a limit are the shortest entries
	for i := range 50000 {
		limits.AddLimit(relFork(1663, 5, i, pg.MainFork), 1)
	}
	sparse := New() // and one block a chunk is the shortest chunk
	for i := range 65536 {
		sparse.AddBlock(relFork(1663, 5, 1, pg.MainFork), pg.BlockNumber(i)<<16)
	}
	bitmaps := New()
	for i := range pg.BlockNumber(200) {
		for j := range pg.BlockNumber(maxRuns + 1) {
			bitmaps.AddBlock(relFork(1663, 5, 1, pg.MainFork), i<<16+2*j)
		}
	}
	for name, m := range map[string]*Map{"limits": limits, "sparse": sparse, "bitmaps": bitmaps} {
		b := encoded(t, m)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := Decode(b); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		allocated := after.TotalAlloc - before.TotalAlloc
		t.Logf("%s: %d bytes, %d allocated", name, len(b), allocated)
		if allocated > 32*uint64(len(b)) {
			t.Errorf("%s: %d bytes for %d", name, allocated, len(b))
		}
	}
}

// FuzzDecode: no input makes Decode panic, and what it accepts encodes to the same bytes.
func FuzzDecode(f *testing.F) {
	for _, m := range []*Map{New(), golden()} {
		b := encoded(f, m)
		f.Add(b[:len(b)-checksumSize])
	}
	large := New()
	for i := range pg.BlockNumber(3000) {
		large.AddBlock(relFork(1663, 5, 16384, pg.MainFork), 2*i)
	}
	b := encoded(f, large)
	f.Add(b[:len(b)-checksumSize])
	f.Fuzz(func(t *testing.T, body []byte) {
		sealed := seal(body)
		m, err := Decode(sealed)
		if err != nil {
			return
		}
		if !bytes.Equal(encoded(t, m), sealed) {
			t.Errorf("decoded, but not what AppendBinary writes: %x", sealed)
		}
	})
}
