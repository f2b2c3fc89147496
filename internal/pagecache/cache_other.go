//go:build !linux

package pagecache

import "os"

// Missing knows nothing here.
func Missing(_ *os.File, _, _ int64, spans []Span) []Span { return spans }

// Fetch does nothing here.
func Fetch(*os.File, Span) {}

// Drop does nothing here.
func Drop(*os.File, []Span) {}

// Random does nothing here.
func Random(*os.File) {}
