package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pagemap"
	"github.com/pgincr/pgincr/pkg/pg"
)

// What Build says of the WAL of a mixed workload is what PostgreSQL itself
// says, on every major.
func TestRealWAL(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		var opts []pgtest.Option
		if install.Major >= 17 {
			opts = append(opts, pgtest.Setting("summarize_wal", "on"))
		}
		s := newSource(t, install, opts...)
		if install.Major == 16 {
			s.Exec("CREATE EXTENSION pg_walinspect")
		}
		s.archived()
		req := s.request
		req.From = s.backupStart()
		mixedWorkload(s)
		req.To = s.backupStart()
		s.archived()

		built := mustBuild(t, req)
		t.Run("references", func(t *testing.T) { sameReferences(t, s, req, built.Map) })
		t.Run("pages", func(t *testing.T) { pagesInMap(t, s.DataDir, req, built.Map) })
		t.Run("order", func(t *testing.T) { sameInAnyOrder(t, req, mapBytes(t, built)) })
		t.Run("damage", func(t *testing.T) { damageIsFound(t, req, mapBytes(t, built)) })
		t.Run("live", func(t *testing.T) { endsInLiveSegment(t, s) })
		if install.Major >= 17 {
			t.Run("summaries", func(t *testing.T) { holdsSummaries(t, s, req, built.Map) })
		}
	})
}

// segmentsOf names the segments that begin in a range.
func segmentsOf(req MapRequest) []string {
	g := req.Geometry
	var names []string
	for n := g.SegmentOf(req.From); n < g.SegmentOf(req.To); n++ {
		names = append(names, g.WALFileName(1, n))
	}
	return names
}

// sameReferences: the map has those references that PostgreSQL's tools find, and no others.
func sameReferences(t *testing.T, s *walSource, req MapRequest, m *pagemap.Map) {
	want, got := judgeRefs(t, s, segmentsOf(req)), refsOf(m)
	if miss := want.missingFrom(got); len(miss) > 0 {
		t.Errorf("%d references are not in the map: %.10q", len(miss), miss)
	}
	if more := got.missingFrom(want); len(more) > 0 {
		t.Errorf("%d references are in the map only: %.10q", len(more), more)
	}
	if len(want) < 1000 {
		t.Errorf("the workload made no more than %d references", len(want))
	}
}

// pagesInMap: every page whose LSN lies in the range is in the map.
func pagesInMap(t *testing.T, dataDir string, req MapRequest, m *pagemap.Map) {
	moved := 0
	err := filepath.WalkDir(dataDir, func(path string, _ fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(dataDir, path)
		seg, ok := pg.ParseRelPath(rel)
		if errors.Is(err, fs.ErrNotExist) || !ok || seg.Fork != pg.MainFork {
			return nil
		}
		if _, err := os.Stat(path + "_init"); err == nil {
			return nil // unlogged: its LSNs are made up
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		size := int(req.Geometry.BlockSize)
		for i := 0; (i+1)*size <= len(b); i++ {
			blk := pg.BlockNumber(int(seg.Segno)*int(req.Geometry.RelSegBlocks) + i)
			lsn := pg.Page(b[i*size : (i+1)*size]).LSN()
			if lsn <= req.From || lsn > req.To {
				continue
			}
			moved++
			if !m.Changes(seg.RelFork).Has(blk) {
				t.Errorf("%s block %d has LSN %s and is not in the map", rel, blk, lsn)
			}
		}
		return nil
	})
	if err != nil || moved < 100 {
		t.Errorf("%d pages moved, %v", moved, err)
	}
}

// sameInAnyOrder: maps of segments made and merged in random order, or by any
// number of workers, give the same bytes.
func sameInAnyOrder(t *testing.T, req MapRequest, want []byte) {
	for _, jobs := range []int{1, 2, 5, 8} {
		req.Jobs = jobs
		req.Archive = newDirArchive(req.Archive.(*dirArchive).dir)
		if !bytes.Equal(mapBytes(t, mustBuild(t, req)), want) {
			t.Errorf("%d workers give another map", jobs)
		}
	}
	onlyDir := req
	onlyDir.Archive = nil
	if !bytes.Equal(mapBytes(t, mustBuild(t, onlyDir)), want) {
		t.Error("pg_wal gives another map than the archive")
	}
	names := segmentsOf(req)
	rng := rand.New(rand.NewPCG(1, uint64(req.From)))
	encoded := make([][]byte, len(names))
	for _, i := range rng.Perm(len(names)) {
		b, err := os.ReadFile(filepath.Join(req.Archive.(*dirArchive).dir, names[i]))
		if err != nil {
			t.Fatal(err)
		}
		if encoded[i], err = scanAndEncode(b); err != nil {
			t.Fatal(err)
		}
	}
	for range 30 {
		list := make([]*SegmentMap, len(names))
		for i, b := range encoded {
			var err error
			if list[i], err = DecodeSegmentMap(b); err != nil {
				t.Fatal(err)
			}
		}
		for len(list) > 1 {
			i := rng.IntN(len(list) - 1)
			if err := list[i].Append(list[i+1]); err != nil {
				t.Fatal(err)
			}
			list = append(list[:i+1], list[i+2:]...)
		}
		// The range's own segment, not in this list, has no blocks before To.
		if got := mapBytes(t, &Built{Map: list[0].Pages}); !bytes.Equal(got, want) {
			t.Error("another order gives another map")
		}
	}
}

// endsInLiveSegment: a range may begin and end in the middle of segments, and
// the last one is still being written.
func endsInLiveSegment(t *testing.T, s *walSource) {
	s = &walSource{Cluster: s.In(t), t: t, request: s.request}
	redo := func() pg.LSN {
		s.Exec("CHECKPOINT")
		return s.lsn("SELECT redo_lsn FROM pg_control_checkpoint()")
	}
	s.Exec("CREATE TABLE live AS SELECT 1 i")
	req := s.request
	req.From = redo()
	s.Exec("INSERT INTO live SELECT generate_series(1, 60000)")
	s.Exec("CREATE INDEX ON live (i)")
	req.To = redo()
	s.Exec("UPDATE live SET i = 0 WHERE i < 100")
	built := mustBuild(t, req)
	pagesInMap(t, s.DataDir, req, built.Map)
	if built.Segments < 2 {
		t.Errorf("the range has %d segments", built.Segments)
	}
	for _, to := range []pg.LSN{req.To + 8, s.lsn("SELECT pg_current_wal_insert_lsn()") + 1<<20} {
		beyond := req
		beyond.To = to
		wantIncomplete(t, beyond)
	}
}

// damageIsFound: a flipped bit is outside every record, so that the map is the
// same, or there is no map.
func damageIsFound(t *testing.T, req MapRequest, want []byte) {
	dir := req.Archive.(*dirArchive).dir
	names := segmentsOf(req)
	content := make([][]byte, len(names))
	encoded := make([][]byte, len(names))
	for i, name := range names {
		var err error
		if content[i], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if encoded[i], err = scanAndEncode(content[i]); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(2, uint64(req.From)))
	found, outside := 0, 0
	for range 400 {
		i := rng.IntN(len(names)) // the first and the last as well, of which a part has no neighbour to vouch for it
		switch rng.IntN(10) {
		case 0:
			i = 0
		case 1:
			i = len(names) - 1
		}
		at, bit := rng.IntN(len(content[i])), byte(1)<<rng.IntN(8)
		content[i][at] ^= bit
		flipped, err := scanAndEncode(content[i])
		if err == nil && bytes.Equal(flipped, encoded[i]) {
			outside++
		} else if err != nil || joinAll(encoded[max(0, i-4):i], flipped, encoded[i+1:min(i+5, len(names))]) != nil {
			found++
		} else { // it may still be found, by the server's history say, or change nothing
			notFoundByJoin(t, req, names[i], content[i], want)
		}
		content[i][at] ^= bit
	}
	if found < 100 || outside == 0 {
		t.Errorf("of 400 flipped bits %d were found and %d are outside", found, outside)
	}
}

func scanAndEncode(segment []byte) ([]byte, error) {
	m, err := scanBytes(segment)
	if err != nil {
		return nil, err
	}
	return m.AppendBinary(nil)
}

// joinAll joins the encoded map of a segment with those around it: as many as
// the longest records of the workload cross.
func joinAll(before [][]byte, segment []byte, after [][]byte) error {
	list := slices.Concat(before, [][]byte{segment}, after)
	whole, err := DecodeSegmentMap(list[0])
	for _, b := range list[1:] {
		var m *SegmentMap
		if err == nil {
			m, err = DecodeSegmentMap(b)
		}
		if err == nil {
			err = whole.Append(m)
		}
	}
	return err
}

// notFoundByJoin builds the range with one segment's content changed.
func notFoundByJoin(t *testing.T, req MapRequest, name string, content, want []byte) {
	t.Helper()
	dir := t.TempDir()
	other := newDirArchive(dir)
	copyWAL(t, req.Archive.(*dirArchive), other)
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
	req.Archive, req.Dir = other, ""
	built, err := Build(t.Context(), req)
	var incomplete *IncompleteError
	if err != nil && !errors.As(err, &incomplete) {
		t.Error(err)
	}
	if err == nil && !bytes.Equal(mapBytes(t, built), want) {
		t.Errorf("%s: a flipped bit changes the map and is not found", name)
	}
}

var summaryLine = regexp.MustCompile(`(?m)^TS (\d+), DB (\d+), REL (\d+), FORK (\w+): (limit|block) (\d+)$`)

// holdsSummaries: all that pg_walsummary prints of the range is in the map, and
// what Summaries makes of the files is exactly what it prints.
func holdsSummaries(t *testing.T, s *walSource, req MapRequest, m *pagemap.Map) {
	s = &walSource{Cluster: s.In(t), t: t}
	s.Poll("the server to summarize WAL", func() bool {
		q := "SELECT coalesce(max(end_lsn), '0/0') >= '%s' FROM pg_available_wal_summaries()"
		return s.Query1(fmt.Sprintf(q, req.To)) == "t"
	})
	dir := filepath.Join(s.DataDir, "pg_wal/summaries")
	summed, err := Summaries(t.Context(), dir, req)
	if err != nil {
		t.Fatal(err)
	}
	files, err := listSummaries(dir)
	if err != nil {
		t.Fatal(err)
	}
	files, err = coverRange(files, pg.WALRange{Timeline: 1, Start: req.From, End: req.To})
	if err != nil {
		t.Fatal(err)
	}
	printed := pagemap.New()
	for _, f := range files {
		out := s.Tool("pg_walsummary", "-i", filepath.Join(dir, f.name))
		for _, l := range summaryLine.FindAllStringSubmatch(out, -1) {
			rf, n := forkOf(t, l)
			switch {
			case rf.Rel == 0:
				printed.AddDatabase(rf.Spc, rf.DB)
			case l[5] == "limit":
				printed.AddLimit(rf, n)
			default:
				printed.AddBlock(rf, n)
			}
		}
	}
	if !bytes.Equal(mapBytes(t, &Built{Map: summed}), mapBytes(t, &Built{Map: printed})) {
		t.Error("Summaries and pg_walsummary differ")
	}
	both := pagemap.New()
	both.Merge(m)
	both.Merge(printed)
	if !bytes.Equal(mapBytes(t, &Built{Map: both}), mapBytes(t, &Built{Map: m})) {
		t.Error("pg_walsummary prints what the map lacks")
	}
	if printed.Len() < 100 {
		t.Errorf("pg_walsummary prints no more than %d forks", printed.Len())
	}
}

// forkOf reads the fork and the number of a line of pg_walsummary.
func forkOf(t *testing.T, l []string) (pg.RelFork, pg.BlockNumber) {
	t.Helper()
	var v [4]uint64
	for i, s := range []string{l[1], l[2], l[3], l[6]} {
		var err error
		if v[i], err = strconv.ParseUint(s, 10, 32); err != nil {
			t.Fatal(err)
		}
	}
	rf := pg.RelFork{RelFileLocator: pg.RelFileLocator{Spc: pg.OID(v[0]), DB: pg.OID(v[1]), Rel: pg.RelFileNumber(v[2])}}
	for rf.Fork.String() != l[4] {
		rf.Fork++
	}
	return rf, pg.BlockNumber(v[3])
}
