package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// byPages are the sources that look at the pages themselves.
func byPages() []string { return []string{"lsn", "hash"} }

// sameBytes restores a backup and compares it with the data directory of the quiet source.
func (s *site) sameBytes(b backup) {
	s.t.Helper()
	dir := s.restore(b.ID)
	compareBytes(s.t, s.pg.DataDir, dir, b.PageMap.Source != "hash")
	s.must(os.RemoveAll(dir))
}

// L27, scenario 33: backups of a standby, two of which begin at the same restartpoint, with and without what
// makes VACUUM give pages a new LSN, and one after the standby was promoted.
func TestScanOfStandby(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		plays(t, install, widely(install.Major), "33")
		opts := []pgtest.Option{quiet(), pgtest.Checksums(false), pgtest.Setting("wal_log_hints", "off")}
		if install.Major >= 17 {
			opts = append(opts, pgtest.Setting("summarize_wal", "on"))
		}
		s := newSite(t, install, opts...)
		s.sql(`CREATE TABLE t AS SELECT i AS id, repeat('x', 100) AS pad FROM generate_series(1, 5000) i`,
			`CREATE INDEX t_id ON t (id)`, `SELECT count(*) FROM t`)
		primary, standby := s.pg, s.pg.NewStandby(t)
		replay := func(restartpoint bool) {
			t.Helper()
			if restartpoint {
				primary.Checkpoint()
			}
			// A commit sends everything before it on its way, which VACUUM does not.
			primary.Exec(`SELECT pg_logical_emit_message(true, '', '')`)
			standby.WaitReplayed(primary)
			if restartpoint {
				standby.Checkpoint()
			}
		}
		replay(true)
		s.pg = standby
		parent := s.full()
		steps := []struct {
			sql          []string
			restartpoint bool
		}{
			{[]string{`VACUUM t`}, false},
			{[]string{`DELETE FROM t WHERE id % 97 = 0`}, true},
			{[]string{`VACUUM t`, `UPDATE t SET pad = 'u' WHERE id < 10`}, true},
		}
		for _, step := range steps {
			for _, statement := range step.sql {
				primary.Exec(statement)
			}
			replay(step.restartpoint)
			for _, source := range widely(install.Major) {
				b := s.incremental(source, "--parent", parent.ID)
				if (b.StartLSN == parent.StartLSN) == step.restartpoint {
					t.Errorf("after a restartpoint (%v): from %s, the parent from %s", step.restartpoint, b.StartLSN, parent.StartLSN)
				}
				s.sameBytes(b)
				if source == "lsn" {
					defer func() { parent = b }()
				}
			}
		}
		standby.Promote()
		s.sql(`UPDATE t SET pad = 'promoted' WHERE id BETWEEN 3000 AND 3100`, `VACUUM t`)
		var taken []backup
		for _, source := range widely(install.Major) {
			taken = append(taken, s.incremental(source, "--parent", parent.ID))
		}
		want := s.reference()
		for _, b := range taken {
			got := s.openAtStop(b.ID)
			want.compare(t, got)
			got.IndexOnlyEqualsSeqAll()
			got.Visibility()
			got.Stop(pgtest.Immediate)
		}
	})
}

// L25: a cluster put back as it was before the parent, by a snapshot of its disk, gets a full backup that says why.
func TestRolledBackCluster(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newLonelySite(t, install, quiet())
		filled(s)
		s.pg.Stop(pgtest.Fast)
		aside := filepath.Join(pgtest.TempDir(t), "aside")
		s.cp("-a", s.pg.DataDir, aside)
		s.pg.Start()
		s.sql(`UPDATE t SET pad = 'lost' WHERE id < 100`)
		s.pg.SwitchWAL()
		s.sql(`UPDATE t SET pad = 'lost too' WHERE id > 600`)
		lost := s.full()
		s.pg.Stop(pgtest.Fast)
		s.must(os.RemoveAll(s.pg.DataDir))
		s.must(os.Rename(aside, s.pg.DataDir))
		s.pg.Start()
		for _, source := range byPages() {
			b := s.backup(0, "--incremental", "--page-map", source, "--parent", lost.ID)
			if b.Type != "full" || !strings.Contains(b.FullReason, "hazard L25") {
				t.Errorf("by %s: %s because %q, want a full one because of L25", source, b.Type, b.FullReason)
			}
			s.sameBytes(b)
		}
	})
}

// L21, L32, scenario 35: a page overwritten by garbage whose LSN lies in the future, and a flipped bit on a
// page that nobody changed. Both are told, the rest is restored, and the last good copy of either is there.
func TestDamagedPages(t *testing.T) { forMatrix(t, damagedPages) }

func damagedPages(t *testing.T, install pgtest.Install) {
	plays(t, install, []string{"wal", "lsn", "hash"}, "35")
	s := newLonelySite(t, install, quiet())
	filled(s)
	path := s.pg.Query1(`SELECT pg_relation_filepath('t')`)
	file := filepath.Join(s.pg.DataDir, path)
	full := s.full()
	good, err := os.ReadFile(file)
	s.must(err)
	s.pg.Stop(pgtest.Fast)
	const flipped, garbage = 7, 9
	bad := bytes.Clone(good)
	bad[flipped*blockSize+5000] ^= 16
	page := bad[garbage*blockSize:][:blockSize]
	_, err = rand.Read(page)
	s.must(err)
	binary.LittleEndian.PutUint64(page, 0x00ff) // FF/0
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	s.must(err)
	_, err = f.WriteAt(bad, 0)
	s.must(errors.Join(err, f.Close()))
	s.pg.Start()

	with := func(pages map[int][]byte) []byte {
		out := bytes.Clone(good)
		for i, from := range pages {
			copy(out[i*blockSize:][:blockSize], from[i*blockSize:])
		}
		return out
	}
	for _, c := range []struct {
		args   []string
		blocks []uint32
		want   []byte
	}{
		{[]string{"--page-map", "lsn"}, []uint32{garbage}, with(map[int][]byte{garbage: bad})},
		{
			[]string{"--page-map", "lsn", "--verify-checksums", "all"},
			[]uint32{flipped, garbage},
			with(map[int][]byte{garbage: bad}),
		},
		{[]string{"--page-map", "hash"}, []uint32{flipped, garbage}, bad},
		{[]string{"--page-map", "wal"}, nil, good}, // which does not look at them
	} {
		code := 0
		if len(c.blocks) > 0 {
			code = 3
		}
		b := s.backup(code, append([]string{"--incremental", "--parent", full.ID}, c.args...)...)
		var blocks []uint32
		for _, p := range b.CorruptPages {
			if p.Path != path {
				t.Errorf("%v: %s is damaged too", c.args, p.Path)
			}
			blocks = append(blocks, p.Block)
		}
		if !slices.Equal(blocks, c.blocks) {
			t.Errorf("%v: blocks %d are told, want %d", c.args, blocks, c.blocks)
		}
		got, err := os.ReadFile(filepath.Join(s.restore(b.ID), path))
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%v: the restored table has other bytes (%v)", c.args, err)
		}
	}
	got, err := os.ReadFile(filepath.Join(s.restore(full.ID), path))
	if err != nil || !bytes.Equal(got, good) {
		t.Errorf("the good pages cannot be had any more (%v)", err)
	}
}

// sparseTable makes a table with a row in its first block and zero pages behind it, without writing them: so many
// blocks in as many segment files as they need.
func (s *site) sparseTable(table string, blocks int64) (path string) {
	s.t.Helper()
	s.sql(`CREATE TABLE `+table+` (id int, pad text)`, `INSERT INTO `+table+` VALUES (0, 'first')`, `CHECKPOINT`)
	path = filepath.Join(s.pg.DataDir, s.pg.Query1(`SELECT pg_relation_filepath('`+table+`')`))
	s.pg.Stop(pgtest.Fast)
	s.stretch(path, blocks)
	s.pg.Start()
	return path
}

const segmentBlocks = 131072

// stretch gives a relation of a stopped server another length, by holes.
func (s *site) stretch(path string, blocks int64) {
	s.t.Helper()
	for n := 0; blocks > 0; n++ {
		name := path
		if n > 0 {
			name += "." + strconv.Itoa(n)
		}
		f, err := os.OpenFile(name, os.O_CREATE|os.O_WRONLY, 0o600)
		s.must(err)
		s.must(f.Truncate(min(blocks, segmentBlocks) * blockSize))
		s.must(f.Close())
		pgtest.Chown(s.t, name)
		blocks -= segmentBlocks
	}
}

// segments gives the lengths in blocks of a relation's segment files.
func (s *site) segments(path string) (blocks []int64) {
	s.t.Helper()
	for n := 0; ; n++ {
		name := path
		if n > 0 {
			name += "." + strconv.Itoa(n)
		}
		st, err := os.Stat(name)
		if err != nil {
			return blocks
		}
		blocks = append(blocks, st.Size()/blockSize)
	}
}

// Scenarios 12 and 36: relations that end exactly at a segment's end, or where a page map's chunk does, and grow by a
// block, and shrink again, which leaves an empty segment file behind.
func TestSegmentBoundaries(t *testing.T) { forMatrix(t, segmentBoundaries) }

func segmentBoundaries(t *testing.T, install pgtest.Install) {
	plays(t, install, widely(install.Major), "10", "12", "36")
	opts := []pgtest.Option{quiet()}
	if install.Major >= 17 {
		opts = append(opts, pgtest.Setting("summarize_wal", "on"))
	}
	s := newLonelySite(t, install, opts...)
	tables := map[string]string{}
	for name, blocks := range map[string]int64{"one": 1, "chunk": 65536, "segment": segmentBlocks} {
		tables[name] = s.sparseTable(name, blocks)
		s.sql(`INSERT INTO ` + name + ` VALUES (1, 'last block')`)
	}
	parent := s.full()
	check := func() {
		t.Helper()
		for i, source := range widely(install.Major) {
			b := s.incremental(source, "--parent", parent.ID)
			dir := s.restore(b.ID)
			for name, path := range tables {
				restored := filepath.Join(dir, strings.TrimPrefix(path, s.pg.DataDir))
				want := s.segments(path)
				if got := s.segments(restored); !slices.Equal(got, want) {
					t.Errorf("%s by %s: segments of %d blocks, want %d", name, source, got, want)
				}
				for n := range want {
					suffix := ""
					if n > 0 {
						suffix = "." + strconv.Itoa(n)
					}
					if out, err := exec.Command("cmp", path+suffix, restored+suffix).CombinedOutput(); err != nil {
						t.Errorf("%s by %s: %v %s", name, source, err, out)
					}
				}
				if files, err := filepath.Glob(restored + "*"); err != nil || len(want) == 0 && len(files) > 0 {
					t.Errorf("%s by %s: it was dropped, and %q came back (%v)", name, source, files, err)
				}
			}
			s.must(os.RemoveAll(dir))
			if i == 0 {
				defer func() { parent = b }()
			}
		}
	}
	for name := range tables {
		s.sql(`INSERT INTO `+name+` SELECT i, repeat('x', 1500) FROM generate_series(2, 6000) i`, `CHECKPOINT`)
	}
	if got := s.segments(tables["segment"]); len(got) != 2 || got[0] != segmentBlocks {
		t.Fatalf("the table has segments of %d blocks", got)
	}
	check()
	for name := range tables {
		s.sql(`DELETE FROM `+name+` WHERE id > 1`, `VACUUM `+name, `CHECKPOINT`) // which cuts off a thousand pages, not ten
	}
	if got := s.segments(tables["segment"]); !slices.Equal(got, []int64{segmentBlocks, 0}) {
		t.Fatalf("the table has segments of %d blocks", got)
	}
	check()
	s.sql(`DROP TABLE segment`, `CHECKPOINT`) // which ends with all its segments and forks
	check()
}

// Scenario 11: a relation of two and a half segments shrinks to one block while it is being copied. The copy
// may not have a segment behind a short one: its old content would come back when the relation grows.
func TestShrinksUnderCopy(t *testing.T) { forMatrix(t, shrinksUnderCopy) }

func shrinksUnderCopy(t *testing.T, install pgtest.Install) {
	kinds := []string{"full", "lsn", "hash"}
	if wide() {
		kinds = append([]string{"full"}, widely(install.Major)...)
	}
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			opts := []pgtest.Option{quiet()}
			if kind != "full" {
				plays(t, install, []string{kind}, "11")
			}
			if kind == "summaries" {
				opts = append(opts, pgtest.Setting("summarize_wal", "on"))
			}
			s := newLonelySite(t, install, opts...)
			path := s.sparseTable("t", 2*segmentBlocks+segmentBlocks/2)
			s.sql(`INSERT INTO t SELECT i, repeat('x', 1500) FROM generate_series(1, 10) i`, `CHECKPOINT`)
			var args []string
			if kind != "full" {
				s.full()
				args = []string{"--incremental", "--page-map", kind}
			}
			// What a page map names is little: the copy has to last until the relation has shrunk.
			s.sql(`CREATE TABLE ballast AS SELECT i, repeat('b', 1900) FROM generate_series(1, 8000) i`, `CHECKPOINT`)
			cmd := s.begin(args...)
			s.sql(`DELETE FROM t WHERE id > 0`, `VACUUM t`, `CHECKPOINT`)
			if got := s.segments(path); got[0] > 100 {
				t.Fatalf("the table has segments of %d blocks", got)
			}
			s.must(cmd.Wait())
			list := s.list()
			got := s.open(s.restore(list[len(list)-1].ID))
			checkRows(t, got, "t", 1)
			lengths := s.segments(filepath.Join(got.DataDir, strings.TrimPrefix(path, s.pg.DataDir)))
			for i, n := range lengths {
				if i > 0 && n > 0 && lengths[i-1] < segmentBlocks {
					t.Errorf("segments of %d blocks: one behind a short one", lengths)
				}
			}
			got.Amcheck()
		})
	}
}
