package wal

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pagemap"
)

// le makes little-endian ints.
func le(vs ...uint32) []byte {
	var b []byte
	for _, v := range vs {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	return b
}

// limits lists limits and databases of a map in words.
func limits(m *pagemap.Map) []string {
	var out []string
	for spc, db := range m.Databases() {
		out = append(out, fmt.Sprintf("database %d/%d", spc, db))
	}
	for rf, c := range m.All() {
		if c.Limit != pagemap.NoLimit {
			out = append(out, fmt.Sprintf("%s limit %d", rf, c.Limit))
		}
	}
	return out
}

// What records say beside block references is in the map, by each major's
// opcodes and layouts.
func TestRecordTable(t *testing.T) {
	locator := le(1663, 5, 77)
	dropped := []string{"1663/5/77 limit 0", "1663/5/77_fsm limit 0", "1663/5/77_vm limit 0", "1663/5/77_init limit 0"}
	rels := slices.Concat(le(4, 1), locator) // xinfo, count
	subxacts := slices.Concat(le(2|4, 3, 10, 11, 12), le(1), locator)
	dbInfo := slices.Concat(le(1|4, 5, 1663), le(1), locator)
	when := make([]byte, 8)
	for _, tt := range []struct {
		name       string
		rmid, info uint8
		main       []byte
		from, to   int // majors
		want       []string
	}{
		{"smgr create", 2, 0x10 | 1, slices.Concat(locator, le(0)), 13, 18, []string{"1663/5/77 limit 0"}},
		{"smgr create init", 2, 0x10 | 1, slices.Concat(locator, le(3)), 13, 18, []string{"1663/5/77_init limit 0"}},
		{
			"smgr truncate", 2, 0x20 | 1, slices.Concat(le(40), locator, le(7)), 13, 18,
			[]string{"1663/5/77 limit 40", "1663/5/77_vm limit 0"},
		},
		{"smgr truncate fsm", 2, 0x20 | 1, slices.Concat(le(40), locator, le(4)), 13, 18, nil},
		{"commit", 1, 0x80, slices.Concat(when, rels), 13, 18, dropped},
		{"commit, subtransactions", 1, 0x80 | 1, slices.Concat(when, subxacts), 14, 18, dropped},
		{"commit, database", 1, 0x80, slices.Concat(when, dbInfo), 13, 18, dropped},
		{"commit without", 1, 0, when, 13, 18, nil},
		{"abort", 1, 0xA0, slices.Concat(when, rels), 13, 18, dropped},
		{"commit prepared", 1, 0xB0, slices.Concat(when, rels), 13, 18, dropped},
		{"abort prepared", 1, 0xC0, slices.Concat(when, rels), 13, 18, dropped},
		{"prepare", 1, 0x10, make([]byte, 100), 13, 18, nil},
		{"create database", 4, 0x00 | 1, le(9, 1663, 1, 1663), 13, 18, []string{"database 1663/9"}},
		{"create database, logged", 4, 0x10, le(9, 1663), 15, 18, []string{"database 1663/9"}},
		{"drop database", 4, 0x10 | 1, le(9, 2, 1663, 4000), 13, 14, []string{"database 1663/9", "database 4000/9"}},
		{"drop database", 4, 0x20 | 1, le(9, 2, 1663, 4000), 15, 18, []string{"database 1663/9", "database 4000/9"}},
	} {
		for _, v := range versions {
			if v.major < tt.from || v.major > tt.to {
				continue
			}
			w := newWAL(t, v.major)
			from := w.touch(1, 1)
			w.record(tt.rmid, tt.info, mainData(tt.main))
			to := w.touch(1, 2)
			w.switchSegment()
			built := mustBuild(t, w.request(from, to))
			if diff := cmp.Diff(tt.want, limits(built.Map)); diff != "" {
				t.Errorf("%s on %d (-want +got):\n%s", tt.name, v.major, diff)
			}
		}
	}
}

// What makes a range unusable is told with its reason, from whichever side of
// the range it is not in the way, and also when only the stored map is there.
func TestFindings(t *testing.T) {
	checkpoint := func(redo, fpw, level uint32) []byte {
		return append(le(redo, 0, 1, 1, fpw, level), make([]byte, 64)...)
	}
	for _, tt := range []struct {
		name       string
		major      int
		rmid, info uint8
		main       []byte
		reason     string
	}{
		{"parameter change", 13, 0, 0x60, le(100, 8, 10, 0, 64, 0, 0), reasonMinimal},
		{"parameter change", 18, 0, 0x60, le(100, 8, 10, 0, 64, 0, 0), reasonMinimal},
		{"checkpoint", 17, 0, 0x10, checkpoint(40, 1, 0), reasonMinimal},
		{"shutdown checkpoint", 18, 0, 0x00, checkpoint(40, 1, 0), reasonMinimal},
		{"checkpoint redo", 17, 0, 0xE0, le(0), reasonMinimal},
		{"end of recovery", 17, 0, 0x90, le(0, 0, 2, 1, 0), reasonMinimal},
		{"full_page_writes", 13, 0, 0x80, []byte{0}, reasonFPW},
		{"checkpoint without full_page_writes", 14, 0, 0x10, checkpoint(40, 0, 7), reasonFPW},
		{"unknown smgr", 16, 2, 0x30, nil, "not known"},
		{"unknown database record", 16, 4, 0x30, nil, "not known"},
		{"special heap record", 16, 10, 0x01, nil, "not known"},
		{"special wal record", 16, 0, 0x21, nil, "not known"},
		{"special transaction record", 16, 1, 0x51, nil, "not known"},
		{"special record of an extension", 16, 130, 0x01, nil, "not known"},
	} {
		t.Run(fmt.Sprintf("%s %d", tt.name, tt.major), func(t *testing.T) {
			w := newWAL(t, tt.major)
			before := w.touch(1, 1)
			at := w.touch(1, 2)
			w.record(tt.rmid, tt.info, mainData(tt.main))
			after := w.touch(1, 3)
			end := w.touch(1, 4)
			w.switchSegment()
			mustBuild(t, w.request(before, at))
			mustBuild(t, w.request(after, end))
			req := w.request(before, after)
			wantIncomplete(t, req, tt.reason, "000000010000000000000001")
			if n := len(req.Archive.(*dirArchive).maps); n != 1 {
				t.Errorf("%d maps are stored, want the segment's", n)
			}
			wantIncomplete(t, req, tt.reason)
		})
	}
	for _, v := range versions { // what is as it should be
		w := newWAL(t, v.major)
		from := w.touch(1, 1)
		w.record(0, 0x60, mainData(le(100, 8, 10, 0, 64, 1, 0)))
		w.record(0, 0x10, mainData(checkpoint(40, 1, 1)))
		w.record(0, 0x80, mainData([]byte{1}))
		to := w.touch(1, 3)
		w.switchSegment()
		mustBuild(t, w.request(from, to))
	}
}

// A record that is shorter than its kind demands makes its segment unreadable.
func TestShortMainData(t *testing.T) {
	for name, r := range map[string][]byte{
		"parameter change": append([]byte{0, 0x60}, make([]byte, 20)...),
		"checkpoint":       append([]byte{0, 0x10}, make([]byte, 20)...),
		"checkpoint redo":  {0, 0xE0, 1},
		"fpw change":       {0, 0x80},
		"smgr create":      append([]byte{2, 0x10}, make([]byte, 12)...),
		"smgr truncate":    append([]byte{2, 0x20}, make([]byte, 16)...),
		"commit":           append([]byte{1, 0x80}, make([]byte, 8)...),
		"commit rels":      append([]byte{1, 0x80}, append(make([]byte, 8), le(4, 2, 1, 1, 1)...)...),
		"commit negative":  append([]byte{1, 0x80}, append(make([]byte, 8), le(4, 0xFFFFFFFF)...)...),
		"create database":  {4, 0x00, 1, 2, 3, 4},
		"drop database":    append([]byte{4, 0x20}, le(9, 2, 1663)...),
	} {
		w := newWAL(t, 17)
		w.record(r[0], r[1], mainData(r[2:]))
		w.switchSegment()
		if _, err := scanBytes(w.segs[1]); err == nil {
			t.Errorf("%s of %d bytes was read", name, len(r)-2)
		}
	}
}

// pg_resetwal begins WAL anew: nothing links it to what was before, and no map spans it.
func TestResetWAL(t *testing.T) {
	w := newWAL(t, 15)
	from := w.touch(1, 1)
	w.switchSegment()
	w.prev = 0
	w.record(0, 0, mainData(append(le(40, 0, 1, 1, 1), make([]byte, 68)...)))
	to := w.touch(1, 2)
	w.switchSegment()
	wantIncomplete(t, w.request(from, to), "000000010000000000000002", "pg_resetwal")

	w.prev = 0
	from = w.touch(1, 3)
	to = w.touch(1, 4)
	w.switchSegment()
	mustBuild(t, w.request(from, to)) // WAL that begins at the range's first segment

	w = newWAL(t, 15)
	w.touch(1, 1)
	w.prev = 8
	w.touch(1, 2)
	w.switchSegment()
	if _, err := scanBytes(w.segs[1]); err == nil {
		t.Error("a broken link was not found")
	}
}
