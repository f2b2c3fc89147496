package repo_test

import (
	"strings"
	"testing"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// A mark is of whole segments of the backup's own WAL, two at most: comparing one has a bound.
func TestWALMark(t *testing.T) {
	size := pg.LSN(pg.DefaultGeometry().WALSegmentSize)
	start, stop := 2*size+0x28, 5*size+0x100
	sum := repo.FormatSum(1)
	for _, tt := range []struct {
		name string
		mark *repo.WALMark
		ok   bool
	}{
		{"none", nil, true},
		{"the last segment", &repo.WALMark{From: 5 * size, Sum: sum}, true},
		{"the last two", &repo.WALMark{From: 4 * size, Sum: sum}, true},
		{"three", &repo.WALMark{From: 3 * size, Sum: sum}, false},
		{"before the start", &repo.WALMark{From: size, Sum: sum}, false},
		{"from within a segment", &repo.WALMark{From: 5*size + 8, Sum: sum}, false},
		{"behind the end", &repo.WALMark{From: 6 * size, Sum: sum}, false},
		{"no sum", &repo.WALMark{From: 5 * size}, false},
		{"a short sum", &repo.WALMark{From: 5 * size, Sum: "c0ffee"}, false},
		{"no number", &repo.WALMark{From: 5 * size, Sum: strings.Repeat("x", 16)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := newTestCluster(t, newTestStore(t))
			m := testManifest(fullID, "", start)
			m.StopLSN, m.WALMark = stop, tt.mark
			_, err := store(t.Context(), c, m, fullFiles)
			if (err == nil) != tt.ok || err != nil && !strings.Contains(err.Error(), "WAL mark") {
				t.Fatalf("%v, want it stored: %v", err, tt.ok)
			}
			if !tt.ok {
				return
			}
			got, err := c.Backup(t.Context(), fullID)
			must(t, err)
			if (got.WALMark == nil) != (tt.mark == nil) || got.WALMark != nil && *got.WALMark != *tt.mark {
				t.Errorf("read %+v, stored %+v", got.WALMark, tt.mark)
			}
		})
	}
	m := testManifest(fullID, "", size+0x28) // begins in the segment in which it ends
	m.WALMark = &repo.WALMark{From: 0, Sum: sum}
	if _, err := store(t.Context(), newTestCluster(t, newTestStore(t)), m, fullFiles); err == nil {
		t.Error("a mark from before the start is stored")
	}
}
