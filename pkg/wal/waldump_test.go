package wal

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
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

// refs is a set of references in pg_waldump's words: "1663/5/16384 main 3".
type refs map[string]bool

// refsOf lists what a map holds.
func refsOf(m *pagemap.Map) refs {
	out := refs{}
	for rf, c := range m.All() {
		for first, count := range c.Blocks.Runs(0, pg.MaxBlock) {
			for blk := first; blk < first+count; blk++ {
				out[fmt.Sprintf("%d/%d/%d %s %d", rf.Spc, rf.DB, rf.Rel, rf.Fork, blk)] = true
			}
		}
	}
	return out
}

// missingFrom gives what of r is not in o, sorted.
func (r refs) missingFrom(o refs) []string {
	var out []string
	for _, ref := range slices.Sorted(maps.Keys(r)) {
		if !o[ref] {
			out = append(out, ref)
		}
	}
	return out
}

// judgeRefs gives the references that PostgreSQL's own tools find in archived segments.
func judgeRefs(t testing.TB, s *walSource, segments []string) refs {
	t.Helper()
	switch s.Install.Major {
	case 14: // no pg_waldump: 13's reads it when the page headers say so
		return waldumpRefs(t, installOf(t, 13), disguised(t, s.archive.dir, segments, 0xD106), segments)
	case 16: // no pg_waldump, but pg_walinspect
		return walinspectRefs(s, segments)
	}
	return waldumpRefs(t, s.Install, s.archive.dir, segments)
}

func installOf(t testing.TB, major int) pgtest.Install {
	t.Helper()
	for _, i := range pgtest.Versions(t) {
		if i.Major == major {
			return i
		}
	}
	t.Skipf("PostgreSQL %d is not installed", major)
	return pgtest.Install{}
}

var blkref = regexp.MustCompile(`blkref #\d+: rel (\d+/\d+/\d+)(?: fork (\w+))? blk (\d+)`)

// waldumpRefs lists the references that pg_waldump prints.
func waldumpRefs(t testing.TB, install pgtest.Install, dir string, segments []string) refs {
	t.Helper()
	path, ok := install.Tool("pg_waldump")
	if !ok {
		t.Fatalf("%s has no pg_waldump", install)
	}
	cmd := pgtest.Command(t.Context(), path, "-p", dir, segments[0], segments[len(segments)-1])
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("pg_waldump: %v: %s", err, &stderr)
	}
	list := refs{}
	for _, m := range blkref.FindAllSubmatch(out, -1) {
		fork := string(m[2])
		if fork == "" {
			fork = "main"
		}
		list[fmt.Sprintf("%s %s %s", m[1], fork, m[3])] = true
	}
	return list
}

// disguised copies segments with another magic in their page headers. No checksum covers those.
func disguised(t testing.TB, dir string, segments []string, magic uint16) string {
	t.Helper()
	out := pgtest.TempDir(t)
	for _, name := range segments {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		for off := 0; off < len(b); off += 8192 {
			if binary.LittleEndian.Uint16(b[off:]) != 0 {
				binary.LittleEndian.PutUint16(b[off:], magic)
			}
		}
		if err := os.WriteFile(filepath.Join(out, name), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// walinspectRefs asks the server, which has all WAL still in pg_wal.
func walinspectRefs(s *walSource, segments []string) refs {
	s.t.Helper()
	_, first, err := s.request.Geometry.ParseWALFileName(segments[0])
	if err != nil {
		s.t.Fatal(err)
	}
	_, last, err := s.request.Geometry.ParseWALFileName(segments[len(segments)-1])
	if err != nil {
		s.t.Fatal(err)
	}
	list := refs{}
	for _, row := range s.Rows(fmt.Sprintf(`SELECT reltablespace, reldatabase, relfilenode, relforknumber, relblocknumber
		FROM pg_get_wal_block_info('%s', '%s', false) GROUP BY 1, 2, 3, 4, 5`,
		recordStart(s.request.Geometry.SegmentStart(first), s.request.Geometry), s.request.Geometry.SegmentStart(last+1))) {
		fork, err := strconv.Atoi(row[3])
		if err != nil {
			s.t.Fatal(err)
		}
		list[fmt.Sprintf("%s/%s/%s %s %s", row[0], row[1], row[2], pg.ForkNumber(fork), row[4])] = true
	}
	return list
}
