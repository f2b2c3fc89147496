package report

import (
	"fmt"
	"strings"
	"time"
)

// bytesText prints a number of bytes in PostgreSQL's units, which are powers of 1024.
func bytesText(n int64) string {
	const step = 1024
	v, unit := float64(n), "B"
	for _, u := range []string{"kB", "MB", "GB", "TB", "PB"} {
		if v < 999.95 {
			break
		}
		v, unit = v/step, u
	}
	if v < 10 && unit != "B" {
		return strings.TrimSuffix(fmt.Sprintf("%.1f", v), ".0") + " " + unit
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

// agoText says how long ago something was, in the largest unit that fits.
func agoText(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%d seconds", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes", int(d.Minutes()))
	case d < 2*day:
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d/day))
}

// timeText prints a moment in UTC, like everything that pgincr stores.
func timeText(t time.Time) string {
	if t.IsZero() {
		return "–"
	}
	return t.UTC().Format("2006-01-02 15:04:05Z")
}
