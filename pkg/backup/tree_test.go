package backup

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// testGeometry has small segments, so that relations of several are cheap.
var testGeometry = pg.Geometry{
	BlockSize: 8192, RelSegBlocks: 16, WALBlockSize: 8192, WALSegmentSize: 1 << 20,
}

// write makes a file with all directories above it.
func write(t testing.TB, root, path string, content []byte) {
	t.Helper()
	name := filepath.Join(root, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// testPage makes a page that is not new, with a right checksum as block blkno of its fork.
func testPage(lsn pg.LSN, fill byte, blkno pg.BlockNumber) pg.Page {
	p := make(pg.Page, testGeometry.BlockSize)
	binary.LittleEndian.PutUint32(p, uint32(lsn>>32))
	binary.LittleEndian.PutUint32(p[4:], uint32(lsn))
	binary.LittleEndian.PutUint16(p[12:], 24)   // pd_lower
	binary.LittleEndian.PutUint16(p[14:], 8192) // pd_upper
	for i := 24; i < len(p); i++ {
		p[i] = fill
	}
	binary.LittleEndian.PutUint16(p[8:], p.Checksum(blkno))
	return p
}

// pages joins pages to the content of a file.
func pages(list ...pg.Page) []byte {
	var out []byte
	for _, p := range list {
		out = append(out, p...)
	}
	return out
}

func zeroPage() pg.Page { return make(pg.Page, testGeometry.BlockSize) }

// testControl gives the pg_control of a real server, changed to the geometry of these tests.
func testControl(t testing.TB, redo pg.LSN) []byte {
	t.Helper()
	b, err := os.ReadFile("../pg/testdata/pg_control.17")
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint64(b[40:], uint64(redo))
	binary.LittleEndian.PutUint32(b[48:], 1) // timeline
	binary.LittleEndian.PutUint32(b[216:], testGeometry.BlockSize)
	binary.LittleEndian.PutUint32(b[220:], testGeometry.RelSegBlocks)
	binary.LittleEndian.PutUint32(b[224:], testGeometry.WALBlockSize)
	binary.LittleEndian.PutUint32(b[228:], testGeometry.WALSegmentSize)
	binary.LittleEndian.PutUint32(b[252:], 1) // data checksums
	sum := crc32.Checksum(b[:288], crc32.MakeTable(crc32.Castagnoli))
	binary.LittleEndian.PutUint32(b[288:], sum)
	if _, err := pg.ParseControl(b); err != nil {
		t.Fatal(err)
	}
	return append(b, make([]byte, pg.ControlFileSize-len(b))...)
}

// testDataDir makes the least that passes for a data directory.
func testDataDir(t testing.TB) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "data")
	for _, dir := range []string{"base/5", "global", "pg_wal", "pg_tblspc", "pg_xact"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	write(t, root, "PG_VERSION", []byte("17\n"))
	write(t, root, "base/5/PG_VERSION", []byte("17\n"))
	write(t, root, "postgresql.conf", []byte("port = 5432\n"))
	write(t, root, controlPath, testControl(t, testStart))
	return root
}

// paths lists the paths of entries as one string for comparison.
func paths(files []*repo.File) string {
	var b strings.Builder
	for _, f := range files {
		b.WriteString(f.Path + "\n")
	}
	return b.String()
}

func sum64(b []byte) uint64 { return xxhash.Sum64(b) }
