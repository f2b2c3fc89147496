package main

import "fmt"

// packSize is a flag's bytes, written as rates are.
type packSize int64

// What a pack may have: less makes too many objects, and stores bound the parts of one.
const (
	minPackSize = 1 << 20
	maxPackSize = 16 << 30
)

// UnmarshalText reads a size.
func (s *packSize) UnmarshalText(b []byte) error {
	var r rate
	if err := r.UnmarshalText(b); err != nil || r < minPackSize || r > maxPackSize {
		return fmt.Errorf("size %q: want 1M to 16G, in kilobytes or with k, M or G", b)
	}
	*s = packSize(r)
	return nil
}
