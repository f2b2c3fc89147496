package pg

import "testing"

// The header is read at the offsets of bufpage.h.
func TestPageHeader(t *testing.T) {
	p := make(Page, 8192)
	if !p.IsNew() || !p.IsZero() || p.AllVisible() || p.LSN() != 0 {
		t.Error("a page of zeros is not new, zero, without LSN and flags")
	}
	copy(p, []byte{0x16, 0, 0, 0, 0x48, 0xD8, 0x74, 0xB3, 0xCD, 0xAB, 4, 0, 0x18, 0, 0, 0x20})
	if got := p.LSN(); got != 0x16_B374D848 {
		t.Errorf("LSN %s", got)
	}
	if p.IsNew() || p.IsZero() || !p.AllVisible() || p.StoredChecksum() != 0xABCD {
		t.Errorf("new %v, zero %v, all visible %v, checksum %04X", p.IsNew(), p.IsZero(), p.AllVisible(), p.StoredChecksum())
	}
	p[10] = ^byte(4)
	if p.AllVisible() {
		t.Error("another flag is taken for PD_ALL_VISIBLE")
	}
}

// One byte that is not zero, wherever it is, makes a page not zero, whatever its size.
func TestPageIsZero(t *testing.T) {
	for _, size := range []int{0, 1, 1024, 8192, 32768, 32769, 100000} {
		p := make(Page, size)
		if !p.IsZero() {
			t.Errorf("%d zeros are not zero", size)
		}
		for _, i := range []int{0, size / 2, size - 1} {
			if i < 0 || i >= size {
				continue
			}
			p[i] = 1
			if p.IsZero() {
				t.Errorf("%d bytes, one at %d: zero", size, i)
			}
			p[i] = 0
		}
	}
}
