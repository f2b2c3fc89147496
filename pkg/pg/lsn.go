package pg

import (
	"fmt"
	"strconv"
	"strings"
)

// LSN is a byte position in WAL (XLogRecPtr, access/xlogdefs.h). Zero is invalid.
type LSN uint64

// ParseLSN reads the form PostgreSQL prints: two hexadecimal numbers of one to
// eight digits, divided by a slash.
func ParseLSN(s string) (LSN, error) {
	hi, lo, ok := strings.Cut(s, "/")
	if !ok || !isHex32(hi) || !isHex32(lo) {
		return 0, fmt.Errorf("invalid LSN %q", s)
	}
	h, err1 := strconv.ParseUint(hi, 16, 32)
	l, err2 := strconv.ParseUint(lo, 16, 32)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("invalid LSN %q", s)
	}
	return LSN(h<<32 | l), nil
}

// isHex32 accepts what pg_lsn_in accepts: one to eight hexadecimal digits.
func isHex32(s string) bool {
	if len(s) < 1 || len(s) > 8 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// String prints the LSN as PostgreSQL 13 to 18 do (%X/%X).
func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l)) }

// MarshalText makes an LSN a JSON string in PostgreSQL's form.
func (l LSN) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (l *LSN) UnmarshalText(b []byte) error {
	v, err := ParseLSN(string(b))
	if err != nil {
		return err
	}
	*l = v
	return nil
}

// TimelineID numbers a timeline, from 1 (TimeLineID, access/xlogdefs.h).
type TimelineID uint32

// WALRange is the WAL [Start, End) of one timeline.
type WALRange struct {
	Timeline   TimelineID
	Start, End LSN
}
