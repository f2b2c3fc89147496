package wal

import (
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// The references of a range are those that PostgreSQL's own tools find, block
// by block, on every major and for every kind of record.
func TestReferencesEqualPostgres(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		s := newSource(t, install)
		if install.Major == 16 {
			s.Exec("CREATE EXTENSION pg_walinspect")
		}
		s.archived()
		from := s.backupStart()
		mixedWorkload(s)
		to := s.backupStart()
		s.archived()

		req := s.request
		req.From, req.To = from, to
		built, err := Build(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		g := req.Geometry
		var segments []string
		for n := g.SegmentOf(from); n < g.SegmentOf(to); n++ {
			segments = append(segments, g.WALFileName(1, n))
		}
		want, got := judgeRefs(t, s, segments), refsOf(built.Map)
		if miss := want.missingFrom(got); len(miss) > 0 {
			t.Errorf("%d references are not in the map: %.10q", len(miss), miss)
		}
		if more := got.missingFrom(want); len(more) > 0 {
			t.Errorf("%d references are in the map only: %.10q", len(more), more)
		}
		t.Logf("%d segments, %d references, %d forks", built.Segments, len(got), built.Map.Len())
	})
}
