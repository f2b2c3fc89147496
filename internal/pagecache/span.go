package pagecache

// Span is the bytes [Off, Off+Len) of a file.
type Span struct{ Off, Len int64 }

// appendSpan adds a span that begins at or behind the end of the last one.
func appendSpan(spans []Span, s Span) []Span {
	if n := len(spans); n > 0 && spans[n-1].Off+spans[n-1].Len == s.Off {
		spans[n-1].Len += s.Len
		return spans
	}
	return append(spans, s)
}
