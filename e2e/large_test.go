package e2e

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
)

// large says whether tests run that take gigabytes (make large).
func large(t *testing.T) {
	t.Helper()
	if os.Getenv("PGINCR_LARGE") == "" {
		t.Skip("PGINCR_LARGE is not set: make large")
	}
}

// Scenario 39: WAL in segments of a gigabyte.
func TestLargeSegments(t *testing.T) {
	large(t)
	s := newSite(t, pgtest.Newest(t), pgtest.WALSegmentSize(1024), pgtest.Setting("min_wal_size", "2GB"),
		pgtest.Setting("max_wal_size", "4GB"), pgtest.Setting("wal_init_zero", "off"))
	filled(s)
	full := s.full()
	s.sql(`UPDATE t SET pad = 'one' WHERE id < 100`)
	var taken []backup
	for _, source := range []string{"wal", "lsn"} {
		taken = append(taken, s.incremental(source, "--parent", full.ID))
	}
	want := s.reference()
	for _, b := range taken {
		s.restoresTo(b.ID, want)
	}
}

// Scenario 39: ten thousand tables, and one of five gigabytes of which one page in each segment changes; a file whose
// name is no UTF-8.
func TestLargeCluster(t *testing.T) {
	large(t)
	s := newLonelySite(t, pgtest.Newest(t), pgtest.Setting("max_locks_per_transaction", "256"))
	s.sql(`CREATE TABLE big (id int, pad text)`, `INSERT INTO big VALUES (0, 'first')`, `VACUUM FREEZE big`, `CHECKPOINT`)
	path := filepath.Join(s.pg.DataDir, s.pg.Query1(`SELECT pg_relation_filepath('big')`))
	blocks := s.scatter(path, "big", 5)
	odd := filepath.Join(s.pg.DataDir, "odd-\xff\xfe")
	s.must(os.WriteFile(odd, []byte("content"), 0o600))
	pgtest.Chown(t, odd)
	s.sql(`DO $$ BEGIN FOR i IN 1..10500 LOOP EXECUTE 'CREATE TABLE many_' || i || ' (a int)'; END LOOP; END $$`,
		`CHECKPOINT`)
	full := s.full()
	for i, blk := range blocks {
		s.sql(fmt.Sprintf(`UPDATE big SET pad = 'changed %d' WHERE ctid = '(%d,1)'`, i, blk))
	}
	for _, source := range []string{"wal", "lsn", "hash"} {
		b := s.incremental(source, "--parent", full.ID)
		if b.BlocksStored > 200 {
			t.Errorf("%s stores %d blocks, of which %d have changed", source, b.BlocksStored, len(blocks))
		}
		dir := s.restore(b.ID)
		content, err := os.ReadFile(filepath.Join(dir, "odd-\xff\xfe"))
		if err != nil || string(content) != "content" {
			t.Errorf("%s: the file with the odd name has %q, %v", source, content, err)
		}
		got := s.open(dir)
		if n := got.Query1(`SELECT count(*) FROM big WHERE pad LIKE 'changed%'`); n != fmt.Sprint(len(blocks)) {
			t.Errorf("%s: %s rows have changed, want %d", source, n, len(blocks))
		}
		if n := got.Query1(`SELECT count(*) FROM pg_class WHERE relname LIKE 'many%'`); n != "10500" {
			t.Errorf("%s: %s tables, want 10500", source, n)
		}
		for i, n := range s.segments(filepath.Join(dir, strings.TrimPrefix(path, s.pg.DataDir))) {
			if n != segmentBlocks {
				t.Errorf("%s: segment %d has %d blocks", source, i, n)
			}
		}
		got.Stop(pgtest.Immediate)
		s.must(os.RemoveAll(dir))
	}
}

// scatter makes a relation of one page so many segments long, by holes, copies the page, of one row, into each
// of them, and gives the blocks.
func (s *site) scatter(path, table string, segments int64) (blocks []pg.BlockNumber) {
	s.t.Helper()
	s.pg.Stop(pgtest.Fast)
	first, err := os.ReadFile(path)
	s.must(err)
	s.stretch(path, segments*segmentBlocks)
	row := binary.LittleEndian.Uint32(first[24:]) & 0x7fff // lp_off of the first line pointer
	const within = 9
	for n := range s.segments(path) {
		blk := pg.BlockNumber(n)*segmentBlocks + within
		page := append(pg.Page(nil), first[:blockSize]...)
		binary.LittleEndian.PutUint16(page[row+12:], uint16(blk>>16)) // t_ctid is the row itself
		binary.LittleEndian.PutUint16(page[row+14:], uint16(blk))
		binary.LittleEndian.PutUint16(page[8:], page.Checksum(blk))
		name := path
		if n > 0 {
			name = fmt.Sprintf("%s.%d", path, n)
		}
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		s.must(err)
		_, err = f.WriteAt(page, within*blockSize)
		s.must(errors.Join(err, f.Close()))
		blocks = append(blocks, blk)
	}
	s.pg.Start()
	if n := s.pg.Query1(`SELECT count(*) FROM ` + table); n != fmt.Sprint(len(blocks)+1) {
		s.t.Fatalf("%s has %s rows, want %d", table, n, len(blocks)+1)
	}
	return blocks
}
