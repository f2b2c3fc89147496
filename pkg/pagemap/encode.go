package pagemap

// AppendBinary appends the map's encoding (docs/format.md, "Page map"): the same map always gives the same bytes.
func (m *Map) AppendBinary(b []byte) ([]byte, error) { panic("stub") }

// Decode reads what AppendBinary wrote. It never panics and allocates no more than a
// small multiple of len(b).
func Decode(b []byte) (*Map, error) { panic("stub") }
