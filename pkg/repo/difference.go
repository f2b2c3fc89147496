package repo

import "encoding/binary"

// Pages of one relation are often alike but for what counts up from one to the next: keys, places of rows, LSNs.
// Less the page before, such a page is the same few numbers again and again, of which little is left
// after compression and which takes less time to compress and to decompress.

// wordSize is that of the numbers that are taken as one: columns of rows are aligned to it.
const wordSize = 8

// subtract gives the pages of raw in dst: the first as it is, of every other the 64-bit
// numbers less those of the page before it.
func subtract(dst, raw []byte, page int) []byte {
	dst = append(dst[:0], raw...)
	for at := page; at+page <= len(raw); at += page {
		before, these, into := raw[at-page:at], raw[at:at+page], dst[at:at+page]
		for len(into) >= wordSize && len(these) >= wordSize && len(before) >= wordSize {
			n := binary.LittleEndian.Uint64(these) - binary.LittleEndian.Uint64(before)
			binary.LittleEndian.PutUint64(into, n)
			before, these, into = before[wordSize:], these[wordSize:], into[wordSize:]
		}
	}
	return dst
}

// restoreSums undoes subtract in place.
func restoreSums(pages []byte, page int) {
	for at := page; at+page <= len(pages); at += page {
		before, these := pages[at-page:at], pages[at:at+page]
		for len(these) >= wordSize && len(before) >= wordSize {
			n := binary.LittleEndian.Uint64(these) + binary.LittleEndian.Uint64(before)
			binary.LittleEndian.PutUint64(these, n)
			before, these = before[wordSize:], these[wordSize:]
		}
	}
}
