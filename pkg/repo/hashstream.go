package repo

import "encoding/binary"

// hashStream gives the page hashes of a hash object in order.
type hashStream struct {
	fr   *frameReader // nil: they cannot be read
	rest []byte
}

// next gives the next hash.
func (h *hashStream) next() (uint64, bool) {
	for len(h.rest) == 0 {
		if h.fr == nil {
			return 0, false
		}
		_, payload, err := h.fr.next()
		if err != nil || len(payload)%8 != 0 {
			h.fr = nil // it is reported when its own turn comes
			return 0, false
		}
		h.rest = payload
	}
	v := binary.BigEndian.Uint64(h.rest)
	h.rest = h.rest[8:]
	return v, true
}
