package main

import (
	"fmt"
	"strconv"
	"strings"
)

// rate is a flag's bytes per second, written as pg_basebackup -r takes it: kilobytes, or with
// a suffix k, M or G.
type rate int64

// UnmarshalText reads a rate.
func (r *rate) UnmarshalText(b []byte) error {
	s := string(b)
	unit := int64(1 << 10)
	number := s
	for suffix, size := range map[string]int64{"k": 1 << 10, "M": 1 << 20, "G": 1 << 30} {
		if n, ok := strings.CutSuffix(s, suffix); ok {
			number, unit = n, size
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n <= 0 || n > (1<<62)/unit {
		return fmt.Errorf("rate %q: want kilobytes per second, or a number with k, M or G", s)
	}
	*r = rate(n * unit)
	return nil
}
