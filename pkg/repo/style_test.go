package repo

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// counting gives pages of rows with numbers that count up, beginning at a page.
func counting(pages, page, from int) []byte {
	raw := make([]byte, 0, pages*page)
	for n := from * page; len(raw) < pages*page; n++ {
		raw = binary.LittleEndian.AppendUint32(raw, uint32(n))
		raw = append(raw, "        row "...)
	}
	return raw[:pages*page]
}

// speaking gives pages of words at random, which no page before foretells.
func speaking(pages, page int, seed uint64) []byte {
	rng := rand.New(rand.NewPCG(seed, 1))
	words := []string{"one ", "fine ", "day ", "a ", "backup ", "was ", "taken ", "of ", "everything ", "there "}
	raw := make([]byte, 0, pages*page+16)
	for len(raw) < pages*page {
		raw = append(raw, words[rng.IntN(len(words))]...)
	}
	return raw[:pages*page]
}

// Whatever the pages are, they come back, all of them and where only some are wanted.
func TestDifferences(t *testing.T) {
	d, err := newDecompressor()
	if err != nil {
		t.Fatal(err)
	}
	c, err := newCompressor(Compression{Codec: CodecZstd})
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		page := rapid.SampledFrom([]int{8, 1024, 8192}).Draw(t, "page")
		pages := rapid.IntRange(1, 20).Draw(t, "pages")
		slice := rapid.IntRange(1, 20).Draw(t, "slice") * page
		raw := speaking(pages, page, rapid.Uint64().Draw(t, "seed"))
		if rapid.Bool().Draw(t, "counting") {
			raw = counting(pages, page, 7)
		}
		less := subtract(nil, raw, page)
		if restoreSums(less, page); !bytes.Equal(less, raw) {
			t.Fatal("the sums of the differences are not the pages")
		}
		payload := c.in(styleDifferences, nil, raw, slice, page)
		whole, err := d.append(nil, payload, CodecDifferences, len(raw), page)
		if err != nil || !bytes.Equal(whole, raw) {
			t.Fatalf("all of it: %d bytes, %v", len(whole), err)
		}
		only := rapid.IntRange(0, len(raw)/slice).Draw(t, "slice wanted") * slice
		want := func(from, _ int) bool { return from == only }
		some, err := d.appendSome(nil, payload, CodecDifferences, len(raw), page, want)
		if err != nil {
			t.Fatal(err)
		}
		if to := min(only+slice, len(raw)); only < to && !bytes.Equal(some[only:to], raw[only:to]) {
			t.Fatalf("slice at %d is wrong", only)
		}
	})
}

// Each kind of content gets the style that suits it, also where it changes from frame to frame,
// and none is larger than with the fastest alone.
func TestStyleFollowsContent(t *testing.T) {
	const page, pages = 8192, 64
	c, err := newCompressor(Compression{Codec: CodecZstd})
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDecompressor()
	if err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, pages*page)
	rng := rand.New(rand.NewPCG(5, 6))
	for i := range noise {
		noise[i] = byte(rng.Uint32())
	}
	for i := range 60 {
		raw, want := counting(pages, page, i*pages), CodecDifferences
		switch i / 5 % 3 {
		case 1:
			raw, want = speaking(pages, page, uint64(i)), CodecZstd
		case 2:
			raw, want = noise, CodecNone
		}
		got, codec := c.appendPages([]byte("head"), raw, len(raw), page)
		if codec != want {
			t.Fatalf("frame %d: %s, want %s", i, codec, want)
		}
		back, err := d.append(nil, got[4:], codec, len(raw), page)
		if err != nil || !bytes.Equal(back, raw) {
			t.Fatalf("frame %d: %d bytes, %v", i, len(back), err)
		}
		if fast, _ := c.append(nil, raw); len(got)-4 > len(fast) {
			t.Fatalf("frame %d: %d bytes, %d in the fastest style", i, len(got)-4, len(fast))
		}
	}
}

// A level that was asked for is kept to.
func TestStyleOfLevel(t *testing.T) {
	const page, pages = 8192, 64
	for level := range 4 {
		c, err := newCompressor(Compression{Codec: CodecZstd, Level: level})
		if err != nil {
			t.Fatal(err)
		}
		if one := c.zstd[styleFast] == c.zstd[styleDense]; one != (level > 0) {
			t.Errorf("level %d: one encoder: %v", level, one)
		}
		if _, codec := c.appendPages(nil, counting(pages, page, 0), pages*page, page); codec != CodecDifferences {
			t.Errorf("level %d: %s", level, codec)
		}
	}
}

// Differences are refused where the pages are not known, or do not fit into a slice.
func TestDifferencesRefused(t *testing.T) {
	const page = 1024
	c, err := newCompressor(Compression{Codec: CodecZstd})
	if err != nil {
		t.Fatal(err)
	}
	d, err := newDecompressor()
	if err != nil {
		t.Fatal(err)
	}
	raw := counting(8, page, 0)
	payload := c.in(styleDifferences, nil, raw, 4*page, page)
	odd := slices.Concat(c.zstd[0].EncodeAll(raw[:page+8], nil), c.zstd[0].EncodeAll(raw[page+8:], nil))
	for name, of := range map[string]struct {
		payload []byte
		page    int
	}{
		"no pages":           {payload, 0},
		"no whole words":     {payload, 1020},
		"other pages":        {payload, 8 * page},
		"half a page":        {odd, page},
		"a slice is missing": {payload[:len(payload)/2], page},
	} {
		if _, err := d.append(nil, of.payload, CodecDifferences, len(raw), of.page); err == nil {
			t.Errorf("%s: read", name)
		}
	}
}

// A header that counts more pages than there are bytes is refused: verify would go over that many page hashes.
func TestPagesCounted(t *testing.T) {
	for count, want := range map[uint32]bool{0: false, 3: false, 4: true, 1 << 31: false} {
		b := make([]byte, frameHeaderSize)
		frameHeader{Kind: framePages, Codec: CodecDifferences, Raw: 4096, Stored: 9, Count: count}.put(b, 1, 2)
		if _, err := parseFrameHeader(b, &binding{sum: 1}, 2); (err == nil) != want {
			t.Errorf("%d pages: %v", count, err)
		}
	}
}

// differencesOf is how pages are stored as differences.
func differencesOf(t testing.TB, raw []byte, page int) []byte {
	t.Helper()
	c, err := newCompressor(Compression{Codec: CodecZstd})
	if err != nil {
		t.Fatal(err)
	}
	return c.in(styleDifferences, nil, raw, len(raw), page)
}
