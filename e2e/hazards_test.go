package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// hazard is a way in which page LSNs, or file times, do not tell that a block
// changed, or in which blocks of an older backup come back. Each has a
// schema of its own; docs/hazards.md explains the numbers.
type hazard struct {
	name    string
	numbers []string // in the matrix
	since   int      // first major that can do it; 0: all
	// here says that it cannot be played with backups of a standby on the same machine.
	here    bool
	prepare func(h *stage)
	change  func(h *stage)
	// check looks at the restored cluster; may be nil, for the comparisons are made anyway.
	check func(h *stage, got *pgtest.Cluster)
}

// stage is where one hazard plays.
type stage struct {
	*site
	schema string            // in the database postgres
	kept   map[string]string // what prepare and change leave for check
}

// in opens a session in the hazard's schema, of any copy of the cluster.
func (h *stage) session(cl *pgtest.Cluster) *pgtest.Session {
	h.t.Helper()
	session := cl.Connect("postgres")
	session.Exec(`SET search_path = ` + h.schema + `, public`)
	return session
}

// do runs statements in the hazard's schema of the source, each in a transaction of its own.
func (h *stage) do(statements ...string) {
	h.t.Helper()
	session := h.session(h.pg)
	defer session.Close()
	for _, statement := range statements {
		session.Exec(statement)
	}
}

// ask runs a query that yields one value.
func (h *stage) ask(cl *pgtest.Cluster, query string) string {
	h.t.Helper()
	session := h.session(cl)
	defer session.Close()
	return session.Query1(query)
}

// zeroPages counts the pages of a table's first segment file that are zero on disk.
func (h *stage) zeroPages(table string) (n int) {
	h.t.Helper()
	path := h.ask(h.pg, `SELECT pg_relation_filepath('`+table+`')`)
	content, err := os.ReadFile(filepath.Join(h.pg.DataDir, path))
	if err != nil {
		h.t.Fatal(err)
	}
	for page := range slices.Chunk(content, blockSize) {
		if bytes.Count(page, []byte{0}) == len(page) {
			n++
		}
	}
	return n
}

// Every hazard, all in one cluster: full backup, all changes, incrementals by every source.
// Each restored data directory is byte for byte the source's, but for hints where the LSN
// decided, and each server started on one passes all of PostgreSQL's judges.
func TestHazards(t *testing.T) {
	eachHazard(t, slices.Concat(relationHazards(), catalogHazards(), fileHazards()))
}

// Scenario 25, by itself.
func TestPreparedTransactions(t *testing.T) { eachHazard(t, preparedTransactions()) }

// eachHazard plays the hazards on every major, with checksums and without.
func eachHazard(t *testing.T, hazards []hazard) {
	t.Helper()
	t.Parallel()
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		for _, checksums := range []bool{true, false} {
			t.Run(fmt.Sprintf("checksums=%v", checksums), func(t *testing.T) {
				playHazards(t, install, checksums, false, hazards)
			})
		}
		if wide() {
			t.Run("standby", func(t *testing.T) { playHazards(t, install, false, true, hazards) })
		}
	})
}

// playHazards plays hazards in one cluster. On a standby, all that happens happens on the primary, and the backups are
// the standby's.
func playHazards(t *testing.T, install pgtest.Install, checksums, standby bool, all []hazard) {
	t.Helper()
	opts := []pgtest.Option{quiet(), pgtest.Checksums(checksums), pgtest.Setting("wal_log_hints", "off")}
	if install.Major >= 17 {
		opts = append(opts, pgtest.Setting("summarize_wal", "on"))
	}
	if install.Major >= 16 {
		opts = append(opts, pgtest.Setting("allow_in_place_tablespaces", "on"))
	}
	if standby {
		opts = append(opts, pgtest.Setting("wal_keep_size", "1GB")) // the standby is known by the WAL that it has
	}
	s := newSite(t, install, opts...)
	var stages []*stage
	var hazards []hazard
	sources := widely(install.Major)
	for _, h := range all {
		if install.Major < h.since || standby && h.here {
			continue
		}
		note(t, install, standby, sources, h.numbers)
		st := &stage{site: s, schema: schemaName(h.name), kept: map[string]string{}}
		s.sql(`CREATE SCHEMA ` + st.schema)
		hazards, stages = append(hazards, h), append(stages, st)
		h.prepare(st)
	}
	primary, replay := s, func() {}
	if standby {
		s = s.at(primary.pg.NewStandby(t))
		replay = func() {
			primary.pg.Checkpoint()
			primary.sql(`SELECT pg_logical_emit_message(true, '', '')`) // a commit sends all before it on its way
			s.pg.WaitReplayed(primary.pg)
			s.pg.Checkpoint()
		}
	}
	replay()
	full := s.full()
	for i, h := range hazards {
		h.change(stages[i])
	}
	replay()
	taken, asItWas := make([]backup, len(sources)), make([]string, len(sources))
	for i, source := range sources {
		taken[i] = s.incremental(source, "--parent", full.ID)
		asItWas[i] = s.snapshot()
	}
	want := s.reference()
	if wide() {
		s.recoversTo(primary.pg, full, want)
	}
	for i, source := range sources {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			dir := s.restore(taken[i].ID, append(s.elsewhere(), "--target", "immediate", "--target-action", "promote")...)
			compareBytes(t, asItWas[i], dir, source != "hash")
			install.VerifyBackup(t, dir, "-n")
			got := s.open(dir)
			want.compare(t, got)
			for j, h := range hazards {
				if h.check != nil {
					st := *stages[j]
					st.site = s
					h.check(&st, got)
				}
			}
			got.IndexOnlyEqualsSeqAll()
			got.Visibility()
			got.Amcheck()
			got.Stop(pgtest.Fast)
			if checksums {
				for _, name := range planted() { // pg_checksums takes them for relations
					if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
						t.Error(err)
					}
				}
				install.Checksums(t, dir)
			}
		})
	}
}

// recoversTo lets a backup recover to the present and compares it with what the cluster holds now.
func (s *site) recoversTo(primary *pgtest.Cluster, b backup, want reference) {
	s.t.Helper()
	primary.Exec(`SELECT pg_create_restore_point('` + b.ID + `')`)
	segment := primary.SwitchWAL()
	primary.Poll("the archiving of "+segment, func() bool {
		return primary.Query1("SELECT coalesce(last_archived_wal >= '"+segment+"', false) FROM pg_stat_archiver") == "t"
	})
	got := s.open(s.restore(b.ID, append(s.elsewhere(), "--target-name", b.ID, "--target-action", "promote")...))
	defer got.Stop(pgtest.Immediate)
	pgtest.CompareTables(s.t, want.sums, got.TableSums())
}

// schemaName makes a name for a hazard's schema.
func schemaName(hazard string) string {
	name := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(hazard), "_")
	return name[:min(len(name), 60)]
}
