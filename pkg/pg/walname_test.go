package pg

import (
	"testing"

	"pgregory.net/rapid"
)

// Segment names count in two parts, whose border depends on the segment size.
func TestWALFileName(t *testing.T) {
	for _, c := range []struct {
		size uint32
		tli  TimelineID
		lsn  LSN
		want string
	}{
		{16 << 20, 1, 0x1000000, "000000010000000000000001"},
		{16 << 20, 1, 0xFFFFFFFF, "0000000100000000000000FF"},
		{16 << 20, 0xAB, 0x1_00000000, "000000AB0000000100000000"},
		{1 << 20, 1, 0xFFFFFFFF, "000000010000000000000FFF"},
		{1 << 30, 1, 0x5_C0000000, "000000010000000500000003"},
	} {
		g := DefaultGeometry()
		g.WALSegmentSize = c.size
		if got := g.WALFileName(c.tli, g.SegmentOf(c.lsn)); got != c.want {
			t.Errorf("%s with segments of %d: %s, want %s", c.lsn, c.size, got, c.want)
		}
	}
}

func drawWALGeometry(t *rapid.T) Geometry {
	g := DefaultGeometry()
	g.WALSegmentSize = 1 << rapid.IntRange(20, 30).Draw(t, "segment size")
	return g
}

// WALFileName and ParseWALFileName are inverses for every segment size, and a
// position lies in the segment that its number says.
func TestWALFileNameInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		g := drawWALGeometry(t)
		tli := TimelineID(rapid.Uint32Range(1, 0xFFFFFFFF).Draw(t, "tli"))
		lsn := LSN(rapid.Uint64().Draw(t, "lsn"))
		segno := g.SegmentOf(lsn)
		if start := g.SegmentStart(segno); lsn < start || uint64(lsn-start) >= uint64(g.WALSegmentSize) {
			t.Fatalf("%s in segment %d, which starts at %s", lsn, segno, start)
		}
		gotTLI, got, err := g.ParseWALFileName(g.WALFileName(tli, segno))
		if err != nil || gotTLI != tli || got != segno {
			t.Fatalf("%s: %d, %d, %v; want %d, %d", g.WALFileName(tli, segno), gotTLI, got, err, tli, segno)
		}
	})
}

// What is not the name of a segment of this size is refused.
func TestParseWALFileNameRefuses(t *testing.T) {
	for _, name := range []string{
		"", "00000001000000000000000", "0000000100000000000000001", "00000001000000000000000a",
		"000000000000000000000001", "000000010000000000000100", "00000001000000000000000G",
		"000000010000000000000001.partial", "00000002.history", " 00000001000000000000001",
	} {
		if tli, n, err := DefaultGeometry().ParseWALFileName(name); err == nil {
			t.Errorf("%q is segment %d of timeline %d", name, n, tli)
		}
	}
}

// The kinds of names in pg_wal are told apart.
func TestWALNameKinds(t *testing.T) {
	const segment = "00000001000000A00000000F"
	for _, c := range []struct {
		name                              string
		isSegment, isPartial, isBackup, h bool
	}{
		{segment, true, false, false, false},
		{segment + ".partial", false, true, false, false},
		{segment + ".00000028.backup", false, false, true, false},
		{"0000000A.history", false, false, false, true},
		{"00000000.history", false, false, false, false},
		{"0000000a.history", false, false, false, false},
		{segment + ".00000028.bakcup", false, false, false, false},
		{segment + ".0000002x.backup", false, false, false, false},
		{segment + ".Partial", false, false, false, false},
		{"archive_status", false, false, false, false},
	} {
		tli, isHistory := ParseHistoryFileName(c.name)
		got := [4]bool{IsWALFileName(c.name), IsPartialWALFileName(c.name), IsBackupHistoryFileName(c.name), isHistory}
		if want := [4]bool{c.isSegment, c.isPartial, c.isBackup, c.h}; got != want {
			t.Errorf("%s: %v, want %v", c.name, got, want)
		}
		if isHistory && HistoryFileName(tli) != c.name {
			t.Errorf("%s is of timeline %d", c.name, tli)
		}
	}
}

func FuzzParseWALFileName(f *testing.F) {
	f.Add("000000010000000000000001", uint8(24))
	f.Add("0000000100000000000000FF", uint8(20))
	f.Fuzz(func(t *testing.T, name string, shift uint8) {
		g := DefaultGeometry()
		g.WALSegmentSize = 1 << (20 + shift%11)
		tli, n, err := g.ParseWALFileName(name)
		if err == nil && g.WALFileName(tli, n) != name {
			t.Errorf("%q is segment %d of timeline %d, which is %s", name, n, tli, g.WALFileName(tli, n))
		}
	})
}
