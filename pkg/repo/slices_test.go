package repo

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/pgincr/pgincr/pkg/pg"
)

// sliced is content that compresses, and as it is stored in slices of so many bytes.
func sliced(t testing.TB, size, slice int) (raw, payload []byte) {
	t.Helper()
	c, err := newCompressor(Compression{Codec: CodecZstd})
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for len(raw) < size {
		raw = append(raw, bytes.Repeat([]byte{byte(rng.Uint32())}, 1+rng.IntN(50))...)
	}
	raw = raw[:size]
	payload, codec := c.appendSlices(nil, raw, slice)
	if codec != CodecZstd {
		t.Fatalf("stored by %s", codec)
	}
	return raw, payload
}

// Only the slices that are wanted are decompressed, right at their places, and all are found.
func TestSlices(t *testing.T) {
	const size, slice = 1<<20 - 8192, 64 << 10
	raw, payload := sliced(t, size, slice)
	d, err := newDecompressor()
	if err != nil {
		t.Fatal(err)
	}
	whole, err := d.append(nil, payload, CodecZstd, size, 0)
	if err != nil || !bytes.Equal(whole, raw) {
		t.Fatalf("all of it: %d bytes, %v", len(whole), err)
	}
	untouched := bytes.Repeat([]byte{0xAA}, size)
	dst := slices.Clone(untouched)
	var asked []int
	got, err := d.appendSome(dst, payload, CodecZstd, size, 0, func(from, to int) bool {
		asked = append(asked, from, to)
		return from/slice%2 == 1
	})
	if err != nil || &got[0] != &dst[0] || len(got) != size {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	for at := 0; at < size; at += slice {
		to := min(at+slice, size)
		// The decoder of a slice may write over the first bytes of the next.
		have, want := got[min(at+slack, to):to], untouched[min(at+slack, to):to]
		if at/slice%2 == 1 {
			have, want = got[at:to], raw[at:to]
		}
		if !bytes.Equal(have, want) || asked[at/slice*2] != at || asked[at/slice*2+1] != to {
			t.Fatalf("slice at %d is wrong, asked for %v", at, asked)
		}
	}
}

// Nothing is written where dst has no room, as in a part of a file between others.
func TestSlicesKeepToTheirRoom(t *testing.T) {
	const size = 256 << 10
	raw, payload := sliced(t, size, 64<<10)
	d, err := newDecompressor()
	if err != nil {
		t.Fatal(err)
	}
	behind := bytes.Repeat([]byte{0xAA}, 4*slack)
	dst := slices.Concat(make([]byte, size), behind)
	got, err := d.appendSome(dst[:0:size], payload, CodecZstd, size, 0, func(int, int) bool { return true })
	if err != nil || !bytes.Equal(got, raw) || !bytes.Equal(dst[size:], behind) {
		t.Fatalf("%d bytes, %v; behind them %x", len(got), err, dst[size:])
	}
}

// A payload that is not as long as it should be is refused, whatever is wanted of it.
func TestSlicesRefused(t *testing.T) {
	const size = 256 << 10
	_, payload := sliced(t, size, 64<<10)
	_, slice := sliced(t, 64<<10, 64<<10)
	d, err := newDecompressor()
	if err != nil {
		t.Fatal(err)
	}
	for name, p := range map[string][]byte{
		"cut off":           payload[:len(payload)-1],
		"a slice too few":   payload[:len(payload)-len(slice)],
		"a slice too many":  slices.Concat(payload, slice),
		"something follows": append(slices.Clone(payload), 0),
		"skippable":         slices.Concat([]byte{0x50, 0x2A, 0x4D, 0x18, 1, 0, 0, 0, 7}, payload),
		"nothing":           nil,
	} {
		for _, all := range []bool{true, false} {
			_, err := d.appendSome(nil, p, CodecZstd, size, 0, func(int, int) bool { return all })
			if !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// FuzzSlices: no payload makes the reader panic or give another number of bytes, and what is wanted
// is what decompressing all of it gives.
func FuzzSlices(f *testing.F) {
	_, payload := sliced(f, 16<<10, 4<<10)
	f.Add(payload, uint8(3))
	f.Add(payload[:100], uint8(0))
	d, err := newDecompressor()
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, payload []byte, which uint8) {
		const size = 16 << 10
		whole, werr := d.append(nil, payload, CodecZstd, size, 0)
		type stretch struct{ from, to int }
		var wanted []stretch
		n := 0
		got, err := d.appendSome(nil, payload, CodecZstd, size, 0, func(from, to int) bool {
			n++
			if which>>(n%8)&1 == 0 {
				return false
			}
			wanted = append(wanted, stretch{from, to})
			return true
		})
		if err != nil {
			return
		}
		if len(got) != size {
			t.Fatalf("%d bytes", len(got))
		}
		if werr != nil {
			return
		}
		for _, s := range wanted {
			if !bytes.Equal(got[s.from:s.to], whole[s.from:s.to]) {
				t.Fatalf("bytes %d to %d differ", s.from, s.to)
			}
		}
	})
}

// The stretches that hold a wanted block, and no others, are wanted.
func TestWanted(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		var f Frame
		var runs []BlockRun
		var pages []bool // of the frame: wanted
		next := pg.BlockNumber(0)
		for range 1 + rng.IntN(6) {
			r := BlockRun{next + pg.BlockNumber(rng.IntN(4)), pg.BlockNumber(1 + rng.IntN(6))}
			next = r.First + r.Count
			f.Runs = append(f.Runs, r)
			for b := r.First; b < next; b++ {
				want := rng.IntN(3) == 0
				pages = append(pages, want)
				if want {
					runs = append(runs, BlockRun{b, 1})
				}
			}
		}
		f.Raw = uint32(len(pages) * 1024)
		w, err := newWanted(&Piece{Frame: f, Runs: runs})
		if err != nil {
			t.Fatal(err)
		}
		slice := 1 + rng.IntN(5)
		for at := 0; at < len(pages); at += slice {
			to := min(at+slice, len(pages))
			if got, want := w.any(at*1024, to*1024), slices.Contains(pages[at:to], true); got != want {
				t.Fatalf("pages %d to %d of %v: %v", at, to, pages, got)
			}
		}
	}
	f := Frame{Raw: 4096, Runs: []BlockRun{{5, 2}, {9, 2}}}
	for _, runs := range [][]BlockRun{{{4, 1}}, {{6, 2}}, {{9, 1}, {5, 1}}, {{11, 1}}} {
		if _, err := newWanted(&Piece{Frame: f, Runs: runs}); err == nil {
			t.Errorf("%v is in the frame", runs)
		}
	}
}
