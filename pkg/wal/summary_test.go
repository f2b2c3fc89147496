package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// sealSummary adds the terminator and the checksum.
func sealSummary(entries ...[]byte) []byte {
	b := slices.Concat(le(summaryMagic), slices.Concat(entries...), make([]byte, summaryEntrySize))
	return binary.LittleEndian.AppendUint32(b, pg.CRC32C(b))
}

// summarySeeds are summaries of each form.
func summarySeeds() [][]byte {
	bitmap := make([]byte, 8192)
	bitmap[0], bitmap[8191] = 0x81, 0x80 // blocks 0, 7, 65535 of the chunk
	return [][]byte{
		sealSummary(),
		sealSummary(le(1663, 9, 0, 0, 0, 0)),
		sealSummary(le(1663, 5, 7, 0, 40, 0), le(1663, 5, 8, 2, 0xFFFFFFFF, 2), []byte{0, 0, 2, 0, 9, 0, 3, 0}),
		sealSummary(le(1663, 5, 9, 0, 0xFFFFFFFF, 2), []byte{1, 0, 0, 16, 5, 0}, bitmap),
	}
}

// Lists and bitmaps of blocks, limits and databases are read.
func TestSummaryForms(t *testing.T) {
	m := pagemap.New()
	for _, b := range summarySeeds() {
		if err := parseSummary(b, m); err != nil {
			t.Fatal(err)
		}
	}
	checkRefs(t, m, "1663/5/8 vm 65545", "1663/5/8 vm 65539", "1663/5/9 main 5", "1663/5/9 main 65536",
		"1663/5/9 main 65543", "1663/5/9 main 131071")
	if got := limits(m); !slices.Equal(got, []string{"database 1663/9", "1663/5/7 limit 40"}) {
		t.Errorf("limits %q", got)
	}
}

// A summary that is damaged or impossible is refused.
func TestBadSummaries(t *testing.T) {
	good := summarySeeds()[2]
	for i := range good {
		for bit := range 8 {
			bad := slices.Clone(good)
			bad[i] ^= 1 << bit
			if err := parseSummary(bad, pagemap.New()); err == nil {
				t.Errorf("bit %d of byte %d", bit, i)
			}
		}
		if err := parseSummary(good[:i], pagemap.New()); err == nil {
			t.Errorf("%d bytes of %d", i, len(good))
		}
	}
	for name, b := range map[string][]byte{
		"fork 4":             sealSummary(le(1663, 5, 7, 4, 0, 0)),
		"chunk of 4097":      sealSummary(le(1663, 5, 7, 0, 0, 1), []byte{1, 16}, make([]byte, 2*4097)),
		"more than is there": sealSummary(le(1663, 5, 7, 0, 0, 60000)),
		"database of blocks": sealSummary(le(1663, 5, 0, 0, 0xFFFFFFFF, 1), []byte{1, 0, 1, 0}),
		"entry after end":    sealSummary(make([]byte, summaryEntrySize), le(1663, 5, 7, 0, 0, 0)),
	} {
		if err := parseSummary(b, pagemap.New()); err == nil {
			t.Error(name)
		}
	}
}

// Summaries that leave a gap, are of another timeline, or cannot be read give
// no map; those that overlap do.
func TestSummaryCoverage(t *testing.T) {
	name := func(tli, from, to uint32) string {
		return fmt.Sprintf("%08X%08X%08X%08X%08X.summary", tli, 0, from, 0, to)
	}
	h := pg.History{Timeline: 2, Ancestors: []pg.Ancestor{{Timeline: 1, End: 0x300}}}
	req := MapRequest{History: h, FromTimeline: 1, From: 0x100, To: 0x500}
	for _, tt := range []struct {
		test  string
		files []string
		ok    bool
	}{
		{"whole", []string{name(1, 0x100, 0x300), name(2, 0x300, 0x500)}, true},
		{"more", []string{name(1, 0x80, 0x200), name(1, 0x180, 0x300), name(1, 0x400, 0x500), name(2, 0x300, 0x800)}, true},
		{"none", nil, false},
		{"begins late", []string{name(1, 0x108, 0x300), name(2, 0x300, 0x500)}, false},
		{"ends early", []string{name(1, 0x100, 0x300), name(2, 0x300, 0x4F8)}, false},
		{"gap", []string{name(1, 0x100, 0x200), name(1, 0x208, 0x300), name(2, 0x300, 0x500)}, false},
		{"gap between timelines", []string{name(1, 0x100, 0x2F8), name(2, 0x300, 0x500)}, false},
		{"other timeline", []string{name(1, 0x100, 0x500)}, false},
		{"temporary", []string{name(1, 0x100, 0x300), "temp.summary"}, false},
	} {
		dir := t.TempDir()
		for _, f := range tt.files {
			if err := os.WriteFile(filepath.Join(dir, f), summarySeeds()[2], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		_, err := Summaries(t.Context(), dir, req)
		var incomplete *IncompleteError
		if tt.ok && err != nil || !tt.ok && !errors.As(err, &incomplete) {
			t.Errorf("%s: %v", tt.test, err)
		}
		if !tt.ok || err != nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, tt.files[0]), summarySeeds()[2][1:], 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Summaries(t.Context(), dir, req); !errors.As(err, &incomplete) {
			t.Errorf("%s, one damaged: %v", tt.test, err)
		}
	}
	if _, err := Summaries(t.Context(), filepath.Join(t.TempDir(), "none"), req); err == nil {
		t.Error("a directory that is not there was read")
	}
	req.To = req.From
	if m, err := Summaries(t.Context(), "", req); err != nil || m.Len() != 0 {
		t.Errorf("empty range: %v", err)
	}
	req.FromTimeline = 3
	if _, err := Summaries(t.Context(), "", req); err == nil {
		t.Error("a timeline that is not in the history was accepted")
	}
}
