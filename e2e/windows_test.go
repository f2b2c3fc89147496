package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// window is what happens between two backups when the server is down, or runs otherwise than it did
// at the backup before: what page LSNs rely on does not hold all the time.
type window struct {
	name string
	tool string // of PostgreSQL that it needs; a major without it is left out (docs/testing.md)
	// prepare runs before the parent backup, change after it.
	prepare, change func(h *stage)
	// source is what an incremental by LSN must have become; "": lsn.
	source string
	reason string // why, in part
	// below says that files were changed below the server, which no WAL tells of (docs/hazards.md).
	below bool
}

// Offline tools, settings that change, files that are put in place: a chain of incrementals, each by LSN and by
// hash on the one before, over one window after the other. Every one of them is byte for byte what the source
// was, but for hints where the LSN decided; the last one is started and passes all judges.
func TestWindows(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		if _, ok := install.Tool("pg_resetwal"); ok {
			plays(t, install, []string{"wal", "lsn", "hash", "auto"}, "9", "34")
		}
		s := newLonelySite(t, install, quiet(), pgtest.Checksums(false), pgtest.Setting("wal_log_hints", "on"))
		var all []window
		var stages []*stage
		for _, w := range windows() {
			if _, ok := install.Tool(w.tool); w.tool != "" && !ok {
				continue
			}
			st := &stage{site: s, schema: schemaName(w.name), kept: map[string]string{}}
			s.sql(`CREATE SCHEMA ` + st.schema)
			all, stages = append(all, w), append(stages, st)
		}
		all[0].prepare(stages[0])
		parent := s.full()
		for i, w := range all {
			w.change(stages[i])
			if i+1 < len(all) && all[i+1].prepare != nil {
				all[i+1].prepare(stages[i+1])
			}
			parent = s.throughWindow(w, parent)
			if t.Failed() {
				t.FailNow()
			}
		}
		want := s.reference()
		got := s.open(s.restore(parent.ID))
		want.compare(t, got)
		got.IndexOnlyEqualsSeqAll()
		got.Visibility()
		got.Amcheck()
		got.Stop(pgtest.Fast)
		install.Checksums(t, got.DataDir)
	})
}

// throughWindow takes backups after a window and compares them with the source. It gives the one by LSN.
func (s *site) throughWindow(w window, parent backup) (byLSN backup) {
	s.t.Helper()
	for _, source := range []string{"lsn", "hash"} {
		b := s.backup(0, "--incremental", "--page-map", source, "--parent", parent.ID)
		want, reason := source, ""
		if source == "lsn" {
			byLSN, reason = b, w.reason
			if w.source != "" {
				want = w.source
			}
		}
		if b.Type != "incremental" || b.PageMap.Source != want || !strings.Contains(b.PageMap.FallbackReason, reason) {
			s.t.Errorf("%s: by %s it is %s by %s (%s%s), want %s (%s)", w.name, source, b.Type, b.PageMap.Source,
				b.FullReason, b.PageMap.FallbackReason, want, reason)
		}
		dir := s.restore(b.ID)
		s.t.Logf("%s: %s by %s, %d blocks of %d", w.name, b.ID, b.PageMap.Source, b.BlocksStored, b.BlocksTotal)
		compareBytes(s.t, s.pg.DataDir, dir, b.PageMap.Source != "hash")
		if err := os.RemoveAll(dir); err != nil {
			s.t.Fatal(err)
		}
	}
	if wide() {
		s.throughWindowWidely(w, parent)
	}
	return byLSN
}

// throughWindowWidely takes a backup by WAL, which is right or refused, and one by what auto chooses, which is right.
func (s *site) throughWindowWidely(w window, parent backup) {
	s.t.Helper()
	args := []string{"--incremental", "--parent", parent.ID, "--page-map"}
	o := s.run(append([]string{"backup", "-D", s.pg.DataDir, "-c", "fast", "--json"}, append(args, "wal")...)...)
	switch o.code {
	case 0:
		if !w.below {
			s.sameBytes(decode[backup](s.t, o.stdout))
		}
	case 1:
		s.t.Logf("%s: wal is refused: %s", w.name, firstLine(errors.New(o.stderr)))
	default:
		s.t.Errorf("%s: by WAL: exit %d\n%s", w.name, o.code, o.stderr)
	}
	b := s.backup(0, append(args, "auto")...)
	if !w.below || b.PageMap.Source != "wal" {
		s.sameBytes(b)
	}
}

// offline stops the server, does something and starts it.
func (h *stage) offline(do func()) {
	h.t.Helper()
	h.pg.Stop(pgtest.Fast)
	do()
	h.pg.Start()
}

// set restarts the server with other settings.
func (h *stage) set(lines ...string) {
	h.t.Helper()
	h.offline(func() { h.pg.AppendConf(lines...) })
}

// file gives the place of a table's first segment file.
func (h *stage) file(table string) string {
	h.t.Helper()
	return filepath.Join(h.pg.DataDir, h.ask(h.pg, `SELECT pg_relation_filepath('`+table+`')`))
}

// unvacuumed makes a table whose pages have their hint bits, but not their all-visible flags.
func unvacuumed(h *stage) {
	h.do(`CREATE TABLE t (id int, pad text)`, `INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 700) i`,
		`CREATE INDEX t_id ON t (id)`, `SELECT count(*) FROM t`, `CHECKPOINT`)
}

// windows are in the order in which they are gone through: the cluster begins without checksums and with wal_log_hints.
func windows() []window {
	return []window{
		{
			name: "L5 wal_log_hints off and on again", prepare: unvacuumed,
			change: func(h *stage) {
				h.set("wal_log_hints = off")
				h.do(`VACUUM t`)
				h.set("wal_log_hints = on")
			},
		},
		{
			name: "L11 wal_level minimal and back",
			prepare: func(h *stage) {
				h.do(`CREATE TABLE old AS SELECT i, repeat('x', 100) v FROM generate_series(1, 5000) i`, `CREATE INDEX ON old (i)`)
			},
			change: func(h *stage) {
				h.set("wal_level = minimal", "max_wal_senders = 0", "wal_skip_threshold = 0")
				h.do(`CREATE TABLE new AS SELECT i, repeat('y', 100) v FROM generate_series(1, 5000) i`,
					`BEGIN; CREATE TABLE copied (LIKE new); INSERT INTO copied SELECT * FROM new; CREATE INDEX ON copied (i); COMMIT`,
					`BEGIN; TRUNCATE old; INSERT INTO old SELECT * FROM new; COMMIT`, `REINDEX TABLE old`)
				h.set("wal_level = replica", "max_wal_senders = 10")
			},
		},
		{
			name: "L22 checksums on", tool: "pg_checksums", prepare: unvacuumed,
			change: func(h *stage) {
				h.offline(func() { h.pg.Tool("pg_checksums", "--enable", "-D", h.pg.DataDir) })
			},
			source: "hash", reason: "hazard L22",
		},
		{
			name: "L22 L5 checksums off and on again", tool: "pg_checksums", prepare: unvacuumed,
			change: func(h *stage) {
				h.offline(func() {
					h.pg.Tool("pg_checksums", "--disable", "-D", h.pg.DataDir)
					h.pg.AppendConf("wal_log_hints = off")
				})
				h.do(`VACUUM t`)
				h.offline(func() { h.pg.Tool("pg_checksums", "--enable", "-D", h.pg.DataDir) })
			},
		},
		{
			name: "L25 pg_resetwal", tool: "pg_resetwal", prepare: unvacuumed,
			source: "hash", reason: "pg_wal does not go back",
			change: func(h *stage) {
				h.do(`UPDATE t SET pad = 'before' WHERE id < 50`)
				h.offline(func() { h.pg.Tool("pg_resetwal", "-D", h.pg.DataDir) })
				h.do(`UPDATE t SET pad = 'after' WHERE id BETWEEN 300 AND 330`)
			},
		},
		putBack(), ragged(),
		{name: "L30 whole again", below: true, change: func(h *stage) { h.mend() }},
		numbersAgain(),
	}
}

// putBack: older files of the same size come back, each in another way; no LSN tells of it.
func putBack() window {
	ways := map[string]func(h *stage, old, now string){
		"overwritten": func(h *stage, old, now string) { h.cp("-p", old, now) },
		"replaced": func(h *stage, old, now string) {
			h.cp("-p", old, now+".new")
			h.must(os.Rename(now+".new", now))
		},
		"disguised": func(h *stage, old, now string) { // the same size and modification time
			st, err := os.Stat(now)
			h.must(err)
			h.cp(old, now)
			h.must(os.Chtimes(now, st.ModTime(), st.ModTime()))
		},
	}
	return window{
		name: "L28 older files put back", below: true,
		prepare: func(h *stage) {
			h.kept["dir"] = pgtest.TempDir(h.t)
			for table := range ways {
				h.do(`CREATE TABLE `+table+` (id int, v text) WITH (fillfactor = 50)`,
					`INSERT INTO `+table+` SELECT i, 'old' FROM generate_series(1, 2000) i`, `CHECKPOINT`)
				h.cp("-p", h.file(table), filepath.Join(h.kept["dir"], table))
				h.do(`UPDATE `+table+` SET v = 'new' WHERE id % 50 = 0`, `CHECKPOINT`)
			}
		},
		change: func(h *stage) {
			now := map[string]string{}
			for table := range ways {
				now[table] = h.file(table)
			}
			h.offline(func() {
				for table, put := range ways {
					put(h, filepath.Join(h.kept["dir"], table), now[table])
					pgtest.Chown(h.t, now[table])
				}
			})
			for table := range ways {
				if n := h.ask(h.pg, `SELECT count(*) FROM `+table+` WHERE v = 'new'`); n != "0" {
					h.t.Errorf("%s: %s rows of the newer file are still there", table, n)
				}
			}
		},
	}
}

// ragged: a file that is no whole number of blocks, then one again.
func ragged() window {
	return window{
		name: "L30 no whole number of blocks", below: true, prepare: unvacuumed,
		change: func(h *stage) {
			path := h.file("t")
			h.offline(func() {
				st, err := os.Stat(path)
				h.must(err)
				h.must(os.Truncate(path, st.Size()+100))
			})
			h.kept["path"] = path
		},
	}
}

// numbersAgain: the number of a dropped relation, or database, is given out again.
func numbersAgain() window {
	return window{
		name: "L15 numbers are given out again", tool: "pg_resetwal",
		source: "hash", reason: "pg_wal does not go back",
		prepare: func(h *stage) {
			h.do(`CREATE TABLE gone AS SELECT i, repeat('x', 100) v FROM generate_series(1, 9000) i`)
			h.kept["number"] = h.ask(h.pg, `SELECT pg_relation_filenode('gone')`)
		},
		change: func(h *stage) {
			h.do(`DROP TABLE gone`, `CHECKPOINT`)
			number, err := strconv.Atoi(h.kept["number"])
			h.must(err)
			for before := range 4 { // other things may take a number first
				h.offline(func() { h.pg.Tool("pg_resetwal", "-o", strconv.Itoa(number-before), "-D", h.pg.DataDir) })
				h.do(`DROP TABLE IF EXISTS again`, `CHECKPOINT`,
					`CREATE TABLE again AS SELECT i, repeat('y', 100) v FROM generate_series(1, 3000) i`)
				if h.ask(h.pg, `SELECT pg_relation_filenode('again')`) == h.kept["number"] {
					break
				}
			}
			if n := h.ask(h.pg, `SELECT pg_relation_filenode('again')`); n != h.kept["number"] {
				h.t.Errorf("the table has number %s, want %s again", n, h.kept["number"])
			}
		},
	}
}

// mend cuts off what ragged put behind the last block, for pg_checksums, which judges at the end.
func (h *stage) mend() {
	h.t.Helper()
	path := filepath.Join(h.pg.DataDir, h.pg.Query1(
		`SELECT pg_relation_filepath('`+schemaName("L30 no whole number of blocks")+`.t')`))
	st, err := os.Stat(path)
	h.must(err)
	h.must(os.Truncate(path, st.Size()/blockSize*blockSize))
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) cp(args ...string) {
	s.t.Helper()
	if out, err := exec.Command("cp", args...).CombinedOutput(); err != nil {
		s.t.Fatalf("cp: %v\n%s", err, out)
	}
}
