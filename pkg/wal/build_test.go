package wal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pg"
)

// mapBytes encodes a map, for comparing.
func mapBytes(t testing.TB, b *Built) []byte {
	t.Helper()
	out, err := b.Map.AppendBinary(nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// threeSegments writes segments 1 to 3 with a record across each boundary.
func threeSegments(t *testing.T) (w *walWriter, from, to pg.LSN) {
	w = newWAL(t, 16)
	from = w.touch(1, 0)
	for n := uint32(0); w.pos < w.g.SegmentStart(3)+0x1000; n++ {
		w.touch(n%50+1, pg.BlockNumber(n))
	}
	to = w.touch(99, 0)
	w.touch(100, 0)
	w.switchSegment()
	return w, from, to
}

// A range needs each of its segments, whole: one that is missing, short, or
// changed in one byte is named, never taken for the end of WAL.
func TestDamagedSegments(t *testing.T) {
	w, from, to := threeSegments(t)
	req := w.request(from, to)
	mustBuild(t, req)
	for n := pg.SegNo(1); n <= 3; n++ {
		name := w.g.WALFileName(1, n)
		for damage, do := range map[string]func(path string) error{
			"removed":   os.Remove,
			"emptied":   func(path string) error { return os.Truncate(path, 0) },
			"cut":       func(path string) error { return os.Truncate(path, 0x8000) },
			"cut a bit": func(path string) error { return os.Truncate(path, 1<<20-1) },
			"longer":    func(path string) error { return os.Truncate(path, 1<<20+1) },
			"changed": func(path string) error {
				b, err := os.ReadFile(path)
				if err == nil {
					b[0x830] ^= 4 // never padding: records have 50 bytes
					err = os.WriteFile(path, b, 0o600)
				}
				return err
			},
			"of another place": func(path string) error { return os.WriteFile(path, w.segs[n%3+1], 0o600) },
		} {
			t.Run(fmt.Sprintf("%s %s", name, damage), func(t *testing.T) {
				req := w.request(from, to)
				if err := do(filepath.Join(req.Archive.(*dirArchive).dir, name)); err != nil {
					t.Fatal(err)
				}
				wantIncomplete(t, req, name)
				// What pg_wal still has makes up for it.
				req.Dir = w.archive().dir
				mustBuild(t, req)
			})
		}
	}
}

// The range begins and ends where records do, or there is no map.
func TestRangeEnds(t *testing.T) {
	w, from, to := threeSegments(t)
	req := w.request(from, to)
	want := mapBytes(t, mustBuild(t, req))
	for name, ends := range map[string][2]pg.LSN{
		"begins inside a record": {from + 8, to}, "ends inside a record": {from, to + 8},
		"begins inside a record, later": {w.g.SegmentStart(2) + 0x2108, to},
		"ends behind all WAL":           {from, w.g.SegmentStart(4) + 40},
	} {
		t.Run(name, func(t *testing.T) {
			bad := req
			bad.From, bad.To = ends[0], ends[1]
			if name == "ends behind all WAL" { // the segment is there, and all of it is wanted
				mustBuild(t, bad)
				bad.To += 8
			}
			wantIncomplete(t, bad)
			bad.Archive, bad.Dir = nil, req.Archive.(*dirArchive).dir
			wantIncomplete(t, bad)
		})
	}
	if got := mapBytes(t, mustBuild(t, req)); !bytes.Equal(got, want) {
		t.Error("the stored maps give another map than the scan")
	}
	empty := req
	empty.To = empty.From
	empty.Archive = nil
	if built := mustBuild(t, empty); built.Map.Len() != 0 || built.Segments != 0 {
		t.Error("an empty range has changes")
	}
	for _, ends := range [][2]pg.LSN{{to, from}, {from + 1, to}, {from, to + 4}, {w.g.SegmentStart(2) + 8, to}} {
		bad := req
		bad.From, bad.To = ends[0], ends[1]
		if _, err := Build(t.Context(), bad); err == nil {
			t.Errorf("range from %s to %s was built", bad.From, bad.To)
		}
	}
	bad := req
	bad.SystemIdentifier++
	bad.Archive = w.archive()
	wantIncomplete(t, bad, "system 7")
}

// Maps are made once: a second Build reads them, and a segment only where the
// range begins or ends inside it and no checkpoint proves that.
func TestStoredMapsAreUsed(t *testing.T) {
	w, from, to := threeSegments(t)
	req := w.request(from, to)
	if built := mustBuild(t, req); built.Scanned != 3 || built.Mapped != 0 {
		t.Errorf("first: %+v", built)
	}
	if built := mustBuild(t, req); built.Scanned != 1 || built.Mapped != 2 {
		t.Errorf("second: scanned %d, mapped %d", built.Scanned, built.Mapped)
	}
	a := req.Archive.(*dirArchive)
	for name, data := range a.maps { // damaged maps are made again
		a.maps[name] = append(bytes.Clone(data[:len(data)-1]), data[len(data)-1]^1)
	}
	if built := mustBuild(t, req); built.Scanned != 3 {
		t.Errorf("with damaged maps: scanned %d", built.Scanned)
	}
}

// longWAL writes many switched segments.
func longWAL(t *testing.T, segments int) (w *walWriter, from, to pg.LSN) {
	w = newWAL(t, 17)
	for n := range segments {
		lsn := w.touch(uint32(n%7+1), pg.BlockNumber(n))
		if n == 3 {
			from = lsn
		}
		if n%5 == 0 { // runs into the next segment
			w.fillTo(w.g.SegmentStart(w.g.SegmentOf(w.pos)+1) - 24)
			w.touch(1000, pg.BlockNumber(n))
		}
		w.switchSegment()
	}
	to = w.touch(2000, 0)
	w.touch(2000, 1)
	w.switchSegment()
	return w, from, to
}

// Maps of runs give the same as those of single segments, in any number of workers, and
// make a long range cost few reads.
func TestRuns(t *testing.T) {
	w, from, to := longWAL(t, 300)
	req := w.request(from, to)
	want := mapBytes(t, mustBuild(t, req))
	for jobs := 1; jobs <= 8; jobs++ {
		a := newDirArchive(req.Archive.(*dirArchive).dir)
		res, err := BuildMaps(t.Context(), MapsRequest{SystemIdentifier: 7, Geometry: w.g, Archive: a, Jobs: jobs})
		if err != nil {
			t.Fatal(err)
		}
		if res.Segments != len(w.segs) || res.Made != res.Segments || res.Runs < 18 || len(res.Unmapped) > 0 {
			t.Errorf("%d jobs: %+v for %d segments", jobs, res, len(w.segs))
		}
		again, err := BuildMaps(t.Context(), MapsRequest{SystemIdentifier: 7, Geometry: w.g, Archive: a, Jobs: jobs})
		if err != nil || again.Made != 0 || again.Runs != 0 {
			t.Errorf("again: %+v, %v", again, err)
		}
		req.Archive, req.Jobs, a.got = a, jobs, 0
		built := mustBuild(t, req)
		if got := mapBytes(t, built); !bytes.Equal(got, want) {
			t.Errorf("%d jobs: another map", jobs)
		}
		if a.got > 60 || built.Scanned > 1 {
			t.Errorf("%d segments cost %d maps and %d scans", built.Segments, a.got, built.Scanned)
		}
	}
}

// A segment that cannot be mapped is told and leaves a gap in the runs only
// around it.
func TestBuildMapsReports(t *testing.T) {
	w, _, _ := longWAL(t, 40)
	a := w.archive()
	name := w.g.WALFileName(1, 20)
	if err := os.Truncate(filepath.Join(a.dir, name), 100_000); err != nil {
		t.Fatal(err)
	}
	res, err := BuildMaps(t.Context(), MapsRequest{SystemIdentifier: 7, Geometry: w.g, Archive: a, Jobs: 2})
	if err != nil {
		t.Fatal(err)
	}
	if len(res.Unmapped) != 1 || res.Unmapped[0].Name != name || res.Runs != 1 {
		t.Errorf("%+v, want one segment unmapped and the run from 32 on", res)
	}
}

// Two ways to a range that ends with the caller's wish to stop.
func TestCanceled(t *testing.T) {
	w, from, to := threeSegments(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Build(ctx, w.request(from, to)); !errors.Is(err, context.Canceled) {
		t.Errorf("Build: %v", err)
	}
	if _, err := BuildMaps(ctx, MapsRequest{Geometry: w.g, Archive: w.archive()}); !errors.Is(err, context.Canceled) {
		t.Errorf("BuildMaps: %v", err)
	}
}

// Names of maps say what they cover.
func TestMapNames(t *testing.T) {
	g := pg.DefaultGeometry()
	for name, want := range map[string][3]uint64{
		"00000002000000030000000A":                          {2, 3<<8 | 10, 3<<8 | 10},
		"000000020000000300000000-00000002000000030000000F": {2, 3 << 8, 3<<8 | 15},
	} {
		tli, first, last, ok := ParseMapName(g, name)
		if diff := cmp.Diff(want, [3]uint64{uint64(tli), uint64(first), uint64(last)}); !ok || diff != "" {
			t.Errorf("%s: %t %s", name, ok, diff)
		}
		if back := MapName(g, tli, first, last); back != name {
			t.Errorf("%s becomes %s", name, back)
		}
	}
	for _, name := range []string{
		"", "00000002.history", "000000020000000300000000+00000002000000030000000F",
		"000000020000000300000000-00000003000000030000000F", "000000020000000300000001-000000020000000300000000",
		"000000020000000300000001-000000020000000300000001", "000000020000000300000100",
	} {
		if _, _, _, ok := ParseMapName(g, name); ok {
			t.Errorf("%q was accepted", name)
		}
	}
}

// A range may end in the last page of a segment, which is then read in part.
func TestRangeEndsInLastPage(t *testing.T) {
	w := newWAL(t, 16)
	from := w.touch(1, 0)
	w.fillTo(w.g.SegmentStart(2) - 0x800)
	to := w.touch(2, 7)
	w.switchSegment()
	req := w.request(from, to)
	req.Archive, req.Dir = nil, req.Archive.(*dirArchive).dir
	mustBuild(t, req)
}
