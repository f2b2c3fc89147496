package pg

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// History files are read as readTimeLineHistory does.
func TestParseHistory(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []Ancestor
		ok       bool
	}{
		{"empty", "", nil, true},
		{"two", "1\t0/3000000\tno recovery target specified\n\n2\t0/5000028\tbefore 2026-01-01\n", []Ancestor{
			{1, 0x3000000, "no recovery target specified"}, {2, 0x5000028, "before 2026-01-01"},
		}, true},
		{"comments and blanks", "# a comment\n \t\n  # another\n  1 \t 0/A x y \n", []Ancestor{{1, 0xA, "x y"}}, true},
		{"no reason, no line end", "1\t0/A", []Ancestor{{1, 0xA, ""}}, true},
		{"as 19 prints it", "1\t0/0000000A\tx\n", []Ancestor{{1, 0xA, "x"}}, true},
		{"CR LF", "1\t0/A\tx\r\n", []Ancestor{{1, 0xA, "x"}}, true},
		{"no position", "1\n", nil, false},
		{"no timeline", "x\t0/A\n", nil, false},
		{"bad position", "1\t0-A\n", nil, false},
		{"same timeline twice", "1\t0/A\tx\n1\t0/B\tx\n", nil, false},
		{"backwards", "2\t0/A\tx\n1\t0/B\tx\n", nil, false},
		{"itself", "4\t0/A\tx\n", nil, false},
		{"timeline 0", "0\t0/A\tx\n", nil, false},
		{"timeline over 32 bits", "4294967297\t0/A\tx\n", nil, false},
	} {
		h, err := ParseHistory(4, []byte(c.in))
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if diff := cmp.Diff(c.want, h.Ancestors, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	if _, err := ParseHistory(0, nil); err == nil {
		t.Error("timeline 0 has a history")
	}
}

func drawHistory(t *rapid.T) History {
	h := History{}
	tli, lsn := TimelineID(0), LSN(0)
	for range rapid.IntRange(0, 5).Draw(t, "ancestors") {
		tli += TimelineID(rapid.IntRange(1, 3).Draw(t, "step"))
		lsn += LSN(rapid.IntRange(0, 1000).Draw(t, "length"))
		h.Ancestors = append(h.Ancestors, Ancestor{
			Timeline: tli, End: lsn, Reason: rapid.StringMatching(`([a-z#]{1,3}( [a-z/]{1,3})?)?`).Draw(t, "reason"),
		})
	}
	h.Timeline = tli + TimelineID(rapid.IntRange(1, 3).Draw(t, "newest"))
	return h
}

// Format and ParseHistory are inverses.
func TestHistoryInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawHistory(t)
		got, err := ParseHistory(want.Timeline, want.Format())
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Fatalf("%s\n%v %s", want.Format(), err, diff)
		}
	})
	h := History{Timeline: 2, Ancestors: []Ancestor{{1, 9, "two\nlines"}}}
	if got := string(h.Format()); got != "1\t0/9\ttwo lines\n" {
		t.Errorf("a reason of two lines gives %q", got)
	}
}

// forked is a history whose timeline 3 branched off before timeline 2 began: the
// server recovered along 2 to a point that still belongs to 1.
func forked() History {
	return History{Timeline: 3, Ancestors: []Ancestor{{1, 0x500, ""}, {2, 0x300, ""}}}
}

func history(t *testing.T, tli TimelineID, lines ...string) History {
	t.Helper()
	h, err := ParseHistory(tli, []byte(strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// A position belongs to a history when the server lived through it.
func TestHistoryContains(t *testing.T) {
	h := history(t, 4, "1\t0/300", "2\t0/500")
	for _, c := range []struct {
		h    History
		tli  TimelineID
		lsn  LSN
		want bool
	}{
		{h, 1, 0x300, true},
		{h, 1, 0x301, false},
		{h, 2, 0x500, true},
		{h, 2, 0x501, false},
		{h, 3, 0x100, false},
		{h, 4, 0x501, true},
		{h, 5, 0x100, false},
		{forked(), 1, 0x300, true},
		{forked(), 1, 0x301, false}, // 1 went on to 0/500, but not for this server
		{forked(), 2, 0x501, false},
		{forked(), 3, 0x301, true},
	} {
		if got := c.h.Contains(c.tli, c.lsn); got != c.want {
			t.Errorf("%v contains %s of %d: %v", c.h, c.lsn, c.tli, got)
		}
	}
}

// Ranges are cut where the server changed timelines, without empty ones.
func TestHistoryRanges(t *testing.T) {
	h := history(t, 4, "1\t0/300", "2\t0/300", "3\t0/500")
	for _, c := range []struct {
		name     string
		h        History
		tli      TimelineID
		from, to LSN
		want     []WALRange
		ok       bool
	}{
		{"within one", h, 1, 0x100, 0x200, []WALRange{{1, 0x100, 0x200}}, true},
		{"nothing", h, 1, 0x100, 0x100, nil, true},
		{"through all", h, 1, 0x100, 0x600, []WALRange{{1, 0x100, 0x300}, {3, 0x300, 0x500}, {4, 0x500, 0x600}}, true},
		{"up to a switch", h, 1, 0x100, 0x500, []WALRange{{1, 0x100, 0x300}, {3, 0x300, 0x500}}, true},
		{"from a switch", h, 3, 0x500, 0x600, []WALRange{{4, 0x500, 0x600}}, true},
		{"newest only", h, 4, 0x550, 0x600, []WALRange{{4, 0x550, 0x600}}, true},
		{"branched off early", forked(), 1, 0x100, 0x400, []WALRange{{1, 0x100, 0x300}, {3, 0x300, 0x400}}, true},
		{"backwards", h, 1, 0x200, 0x100, nil, false},
		{"another timeline", h, 5, 0x100, 0x200, nil, false},
		{"behind the switch", h, 1, 0x301, 0x600, nil, false},
		{"behind the branch", forked(), 1, 0x400, 0x600, nil, false},
	} {
		got, err := c.h.Ranges(c.tli, c.from, c.to)
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.name, err)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}

// Ranges cover what was asked for without gap or overlap, and each byte is on the timeline
// that TimelineAt gives.
func TestHistoryRangesCover(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := drawHistory(t)
		if rapid.Bool().Draw(t, "branched off early") && len(h.Ancestors) > 1 {
			h.Ancestors[len(h.Ancestors)-1].End = LSN(rapid.IntRange(0, 1000).Draw(t, "branch"))
		}
		from := LSN(rapid.IntRange(0, 3000).Draw(t, "from"))
		to := from + LSN(rapid.IntRange(0, 3000).Draw(t, "length"))
		ranges, err := h.Ranges(h.TimelineAt(from), from, to)
		if err != nil {
			t.Fatal(err)
		}
		at := from
		for _, r := range ranges {
			if r.Start != at || r.End <= r.Start {
				t.Fatalf("%v from %s: range %v", h, at, r)
			}
			for _, lsn := range []LSN{r.Start, (r.Start + r.End) / 2, r.End - 1} {
				if h.TimelineAt(lsn) != r.Timeline || !h.Contains(r.Timeline, lsn) {
					t.Fatalf("%v: %s is on %d, not %d", h, lsn, h.TimelineAt(lsn), r.Timeline)
				}
			}
			at = r.End
		}
		if at != to {
			t.Fatalf("%v: ranges %v end at %s, want %s", h, ranges, at, to)
		}
	})
}

// Two servers on timelines of the same number are on one line only when they came there by the same way.
func TestHistorySameLine(t *testing.T) {
	old := history(t, 1)
	a, b := history(t, 2, "1\t0/300"), history(t, 2, "1\t0/400")
	later := history(t, 5, "1\t0/300", "2\t0/600")
	for _, c := range []struct {
		name string
		h, o History
		tli  TimelineID
		lsn  LSN
		want bool
	}{
		{"itself", a, a, 2, 0x350, true},
		{"before it was promoted", old, a, 1, 0x300, true},
		{"after the other was promoted", old, a, 1, 0x301, false},
		{"two standbys, common past", a, b, 1, 0x300, true},
		{"two standbys, after the first switch", a, b, 1, 0x301, false},
		{"two standbys, both on 2", a, b, 2, 0x500, false},
		{"went on", a, later, 2, 0x600, true},
		{"went on, behind the switch", a, later, 2, 0x601, false},
		{"another way to 2", b, later, 2, 0x500, false},
		{"not on it", a, later, 5, 0x700, false},
	} {
		if got := c.h.SameLine(c.o, c.tli, c.lsn); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
		if got := c.o.SameLine(c.h, c.tli, c.lsn); got != c.want {
			t.Errorf("%s, the other way round: %v", c.name, got)
		}
	}
}

func FuzzParseHistory(f *testing.F) {
	f.Add(uint32(3), "1\t0/3000000\tno recovery target specified\n\n2\t0/5000028\tx\n# comment\n")
	f.Add(uint32(1), "")
	f.Fuzz(func(t *testing.T, tli uint32, data string) {
		h, err := ParseHistory(TimelineID(tli), []byte(data))
		if err != nil {
			return
		}
		again, err := ParseHistory(h.Timeline, h.Format())
		if err != nil {
			t.Fatalf("%q gives %q: %v", data, h.Format(), err)
		}
		if !slices.EqualFunc(h.Ancestors, again.Ancestors, func(a, b Ancestor) bool {
			return a.Timeline == b.Timeline && a.End == b.End
		}) {
			t.Errorf("%q gives %q, which is %v", data, h.Format(), again)
		}
	})
}
