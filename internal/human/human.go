// Package human prints sizes and times for people. Formats for programs are made elsewhere.
package human

import (
	"fmt"
	"strings"
	"time"
)

// Bytes prints a number of bytes in PostgreSQL's units, which are powers of 1024, with one decimal.
func Bytes(n int64) string {
	const step = 1024
	if n < step {
		return fmt.Sprintf("%d bytes", n)
	}
	v := float64(n)
	for _, unit := range []string{"kB", "MB", "GB", "TB"} {
		v /= step
		if v < 999.95 {
			return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " " + unit
		}
	}
	return fmt.Sprintf("%.1f PB", v/step)
}

// Time prints a moment to the second, in UTC like everything that pgincr stores; "-" for none.
func Time(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
