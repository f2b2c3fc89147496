package human

import "testing"

// Sizes are in PostgreSQL's units, short enough for a table.
func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 bytes", 1023: "1023 bytes", 1024: "1 kB", 1536: "1.5 kB", 1 << 20: "1 MB",
		1023 << 10: "1 MB", 1000 << 10: "1 MB", 999 << 10: "999 kB", 5 << 40: "5 TB", 1 << 60: "1024.0 PB",
	} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
}
