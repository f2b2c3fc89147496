package repo

import "encoding/binary"

// Pages of one relation are often alike but for what counts up from one to the next: keys, places of rows, LSNs.
// Less the page before, such a page is the same few numbers again and again, of which little is left
// after compression and which takes less time to compress and to decompress.

// wordSize is that of the numbers that are taken as one: columns of rows are aligned to it.
const wordSize = 8

// stride is how many bytes are done in one step, which takes a third of the time of four steps of a word.
const stride = 4 * wordSize

// subtract gives the pages of raw in dst: the first as it is, of every other the 64-bit
// numbers less those of the page before it.
func subtract(dst, raw []byte, page int) []byte {
	dst = append(dst[:0], raw...)
	for at := page; at+page <= len(raw); at += page {
		before, these, into := raw[at-page:at], raw[at:at+page], dst[at:at+page]
		for len(before) >= stride && len(these) >= stride && len(into) >= stride {
			b, t, n := (*[stride]byte)(before), (*[stride]byte)(these), (*[stride]byte)(into)
			put(n[0:], word(t[0:])-word(b[0:]))
			put(n[8:], word(t[8:])-word(b[8:]))
			put(n[16:], word(t[16:])-word(b[16:]))
			put(n[24:], word(t[24:])-word(b[24:]))
			before, these, into = before[stride:], these[stride:], into[stride:]
		}
		for i := 0; i+wordSize <= len(into); i += wordSize {
			put(into[i:], word(these[i:])-word(before[i:]))
		}
	}
	return dst
}

// restoreSums undoes subtract in place.
func restoreSums(pages []byte, page int) {
	for at := page; at+page <= len(pages); at += page {
		before, these := pages[at-page:at], pages[at:at+page]
		for len(before) >= stride && len(these) >= stride {
			b, t := (*[stride]byte)(before), (*[stride]byte)(these)
			put(t[0:], word(t[0:])+word(b[0:]))
			put(t[8:], word(t[8:])+word(b[8:]))
			put(t[16:], word(t[16:])+word(b[16:]))
			put(t[24:], word(t[24:])+word(b[24:]))
			before, these = before[stride:], these[stride:]
		}
		for i := 0; i+wordSize <= len(these); i += wordSize {
			put(these[i:], word(these[i:])+word(before[i:]))
		}
	}
}

func word(b []byte) uint64 { return binary.LittleEndian.Uint64(b) }

func put(b []byte, n uint64) { binary.LittleEndian.PutUint64(b, n) }
