package e2e

import (
	"slices"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// walForms are the ways in which a server writes page images: all that it has.
func (s *site) walForms() (forms []string) {
	s.t.Helper()
	values := s.pg.Query1(`SELECT coalesce(array_to_string(enumvals, ','), 'on,off') FROM pg_settings
		WHERE name = 'wal_compression'`)
	forms = strings.Split(values, ",")
	for _, want := range []string{"lz4", "zstd"} {
		if s.pg.Install.Major >= 15 && !slices.Contains(forms, want) {
			pgtest.NotTested(s.t, "with WAL compressed by %s, without which %s was built", want, s.pg.Install)
		}
	}
	return forms
}

// Scenario 23: page images in every compression, with and without hole, images of every page for consistency checks,
// subtransactions under logical decoding, changes that came from elsewhere. An incremental by WAL over each.
func TestWALForms(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		sources := []string{"wal"}
		opts := []pgtest.Option{pgtest.Setting("wal_level", "logical")}
		if wide() {
			sources = append(sources, "auto")
		}
		if wide() && install.Major >= 17 {
			sources, opts = append(sources, "summaries"), append(opts, pgtest.Setting("summarize_wal", "on"))
		}
		plays(t, install, sources, "23")
		s := newSite(t, install, opts...)
		s.sql(`CREATE TABLE t (form text, id int, pad text)`, `ALTER TABLE t ALTER pad SET STORAGE PLAIN`,
			`SELECT pg_replication_origin_create('elsewhere')`)
		forms := s.walForms()
		for _, form := range forms {
			s.sql(`INSERT INTO t SELECT '` + form + `', i, repeat('x', 1300) FROM generate_series(1, 300) i`)
		}
		s.sql(`CREATE INDEX ON t (form, id)`, `VACUUM FREEZE t`, `CHECKPOINT`)
		parent := s.full()
		var taken []backup
		for _, form := range forms {
			rows := ` WHERE form = '` + form + `' AND id `
			s.sql(`SET wal_compression = `+form,
				`UPDATE t SET pad = repeat(md5(id::text), 40)`+rows+`<= 40`, // images of full and of emptied pages
				`CHECKPOINT`, `UPDATE t SET pad = 'short'`+rows+`<= 20`, `DELETE FROM t`+rows+`BETWEEN 50 AND 90`, `VACUUM t`,
				`SET wal_consistency_checking = 'all'`, `UPDATE t SET pad = 'checked'`+rows+`BETWEEN 100 AND 120`,
				`SET wal_consistency_checking = ''`,
				`DO $$ BEGIN FOR i IN 130..160 LOOP BEGIN UPDATE t SET pad = 'sub'`+rows+`= i;
					EXCEPTION WHEN division_by_zero THEN NULL; END; END LOOP; END $$`,
				`SELECT pg_replication_origin_session_setup('elsewhere')`,
				`UPDATE t SET pad = 'from elsewhere'`+rows+`BETWEEN 170 AND 190`,
				`SELECT pg_replication_origin_session_reset()`, `CHECKPOINT`)
			on := parent.ID
			for _, source := range sources {
				parent = s.incremental(source, "--parent", on)
				taken = append(taken, parent)
			}
		}
		want := s.reference()
		for i, b := range taken {
			if i >= len(taken)-len(sources) {
				s.restoresTo(b.ID, want)
				continue
			}
			s.openAtStop(b.ID).Stop(pgtest.Immediate)
		}
	})
}
