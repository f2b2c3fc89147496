package datadiff

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
)

// pair is a source and what a restore could have made of it.
type pair struct {
	t        *testing.T
	source   *pgtest.Cluster
	restored string
}

// newPair makes a cluster with a table of every kind of index, and a copy of its directory.
func newPair(t *testing.T, install pgtest.Install, checksums bool) *pair {
	t.Helper()
	p := &pair{t: t, source: install.New(t, pgtest.Checksums(checksums))}
	for _, statement := range []string{
		`CREATE TABLE t (id int, a int[], p point)`,
		`INSERT INTO t SELECT i, ARRAY[i, i % 5], point(i, i) FROM generate_series(1, 3000) i`,
		`CREATE INDEX t_btree ON t (id)`, `CREATE INDEX ON t USING hash (id)`, `CREATE INDEX ON t USING gin (a)`,
		`CREATE INDEX ON t USING gist (p)`, `CREATE INDEX ON t USING spgist (p)`, `CREATE INDEX ON t USING brin (id)`,
		`CREATE UNLOGGED TABLE u AS SELECT 1`, `CREATE TABLE dead AS SELECT i FROM generate_series(1, 1000) i`,
		`CREATE INDEX dead_i ON dead (i)`, `DELETE FROM dead WHERE i < 900`,
		`CHECKPOINT`,
	} {
		p.source.Exec(statement)
	}
	p.copy()
	return p
}

// copy copies the source's directory, as a perfect restore would.
func (p *pair) copy() {
	p.t.Helper()
	p.restored = filepath.Join(pgtest.TempDir(p.t), "data")
	cmd := exec.CommandContext(p.t.Context(), "cp", "-a", p.source.DataDir, p.restored)
	if out, err := cmd.CombinedOutput(); err != nil {
		p.t.Fatalf("%v: %s", err, out)
	}
}

func (p *pair) compare(start pg.LSN) Report {
	p.t.Helper()
	control, err := Control(p.source.DataDir)
	if err != nil {
		p.t.Fatal(err)
	}
	r, err := Comparison{Source: p.source.DataDir, Restored: p.restored, Control: control, Start: start}.Compare()
	if err != nil {
		p.t.Fatal(err)
	}
	return r
}

// main gives the path of a relation's main fork.
func (p *pair) main(relation string) string {
	p.t.Helper()
	return p.source.Query1("SELECT pg_relation_filepath('" + relation + "')")
}

const never = ^pg.LSN(0)

// A copy is the same, also after the source was read: hints are no difference. A change is one, unless it
// is newer than the backup.
func TestHintsAreNoDifference(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		p := newPair(t, install, false)
		if r := p.compare(never); len(r.Differences) > 0 || r.Hints > 0 || r.Blocks < 1000 {
			t.Fatalf("a copy: %+v", r)
		}
		before, err := pg.ParseLSN(p.source.Query1("SELECT pg_current_wal_lsn()"))
		if err != nil {
			t.Fatal(err)
		}
		p.source.Exec("SELECT count(*) FROM t")
		p.source.Exec("SET enable_seqscan = off; SET enable_bitmapscan = off; SELECT count(*) FROM dead WHERE i < 950")
		p.source.Checkpoint()
		r := p.compare(before)
		if len(r.Differences) > 0 || r.Hints < 3 {
			t.Errorf("after reading: %+v", r)
		}
		p.source.Exec("DELETE FROM t WHERE id = 5; CREATE TABLE new AS SELECT 1")
		p.source.Checkpoint()
		if r := p.compare(before); len(r.Differences) == 0 || r.Newer == 0 ||
			!strings.Contains(r.Differences[0].String()+r.Differences[1].String(), "not restored") {
			t.Errorf("after changes behind the start: %+v", r)
		}
		heap, found := p.main("t"), false
		for _, d := range p.compare(never).Differences {
			found = found || d.Path == heap
		}
		if !found {
			t.Errorf("a deleted row of %s is not found: %+v", heap, r)
		}
	})
}

// Everything that a restored server relies on is compared.
func TestDamageIsFound(t *testing.T) {
	install := pgtest.Newest(t)
	p := newPair(t, install, true)
	p.source.Exec("VACUUM FREEZE t")
	p.source.Checkpoint()
	heap, btree := p.main("t"), p.main("t_btree")
	xact := "pg_xact/0000"
	p.source.Stop(pgtest.Fast)
	for name, c := range map[string]struct {
		path   string
		damage func(b []byte) []byte
	}{
		"nothing":             {heap, func(b []byte) []byte { return b }},
		"a byte of a row":     {heap, func(b []byte) []byte { b[8191] ^= 1; return b }},
		"the LSN":             {heap, func(b []byte) []byte { b[8192] ^= 1; return b }},
		"the all-visible bit": {heap, func(b []byte) []byte { b[offFlags] ^= 4; return b }},
		"frozen rows": {heap, func(b []byte) []byte {
			b[rowAt(b, 1)+offInfomask+1] &^= 3
			return b
		}},
		"a zero page":            {heap, func(b []byte) []byte { clear(b[8192:16384]); return b }},
		"a shorter file":         {heap, func(b []byte) []byte { return b[:len(b)-8192] }},
		"a longer file":          {heap, func(b []byte) []byte { return append(b, make([]byte, 8192)...) }},
		"an index entry":         {btree, func(b []byte) []byte { b[8192+8192-40] ^= 1; return b }},
		"the visibility map":     {heap + "_vm", func(b []byte) []byte { b[24] ^= 1; return b }},
		"the free space map":     {heap + "_fsm", func(b []byte) []byte { b[30] ^= 1; return b }},
		"a file of no relation":  {xact, func(b []byte) []byte { b[0] ^= 1; return b }},
		"a file that is missing": {xact, func([]byte) []byte { return nil }},
		"a file too many":        {"base/1/99999", func([]byte) []byte { return []byte{} }},
	} {
		t.Run(name, func(t *testing.T) {
			source := filepath.Join(p.source.DataDir, c.path)
			p := *p
			p.t = t
			p.copy()
			place := filepath.Join(p.restored, c.path)
			b, err := os.ReadFile(source)
			if err != nil && c.path != "base/1/99999" {
				t.Fatal(err)
			}
			if b = c.damage(b); b == nil {
				err = os.Remove(place)
			} else {
				err = os.WriteFile(place, b, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			r := p.compare(never)
			if found := len(r.Differences) > 0; found != (name != "nothing") {
				t.Errorf("%+v", r)
			}
			for _, d := range r.Differences {
				if d.Path != c.path {
					t.Errorf("found elsewhere: %s", d)
				}
			}
		})
	}
}

// rowAt gives where row n of the first page begins.
func rowAt(b []byte, n int) int {
	return int(binary.LittleEndian.Uint32(b[pg.PageHeaderSize+4*(n-1):]) & 0x7FFF)
}

// What one page knows and the other does not is no difference; what they know differently is.
func TestTransactionHints(t *testing.T) {
	page := func(infomask uint16) pg.Page {
		p := make(pg.Page, 8192)
		const at = 8192 - 32
		binary.LittleEndian.PutUint16(p[offLower:], pg.PageHeaderSize+4)
		binary.LittleEndian.PutUint16(p[offUpper:], at)
		binary.LittleEndian.PutUint16(p[offSpecial:], 8192)
		binary.LittleEndian.PutUint32(p[pg.PageHeaderSize:], at|lpNormal|28<<17)
		binary.LittleEndian.PutUint16(p[at+offInfomask:], infomask)
		return p
	}
	const frozen = xminCommitted | xminInvalid
	for _, c := range []struct {
		a, b uint16
		same bool
	}{
		{0, 0, true},
		{0, xminCommitted, true},
		{xminInvalid, 0, true},
		{xminCommitted, xminInvalid, false},
		{0, frozen, false},
		{xminCommitted, frozen, false},
		{xminCommitted | xmaxInvalid, xminCommitted, true},
		{xminCommitted | xmaxInvalid, xminCommitted | xmaxCommitted, false},
		{0, 0x0002, false}, // HEAP_HASVARWIDTH
	} {
		if got := PageDifference(page(c.a), page(c.b)) == ""; got != c.same {
			t.Errorf("infomask %#x and %#x: same %v, want %v", c.a, c.b, got, c.same)
		}
	}
	empty := make(pg.Page, 8192)
	binary.LittleEndian.PutUint16(empty[offLower:], pg.PageHeaderSize)
	binary.LittleEndian.PutUint16(empty[offUpper:], 8192)
	binary.LittleEndian.PutUint16(empty[offSpecial:], 8192)
	if what := PageDifference(empty, make(pg.Page, 8192)); what != "" {
		t.Errorf("an empty page and a zero page: %s", what)
	}
	if PageDifference(page(0), make(pg.Page, 8192)) == "" || !bytes.Equal(page(0), page(0)) {
		t.Error("a page with a row and a zero page are the same")
	}
}
