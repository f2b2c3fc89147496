package wal

import (
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// A server that is promoted in the middle of a page, and then ends the segment before the next
// page, leaves no page header that names its timeline: the record that begins the timeline does.
// A backup right after a failover does this.
func TestPromotionWithinOnePage(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		t.Parallel()
		p := newSource(t, install)
		s := p.standby(t)
		from := p.backupStart()
		p.Exec("CREATE TABLE a AS SELECT generate_series(1, 20000) i")
		p.archived()
		p.Exec("UPDATE a SET i = 0 WHERE i = 1")
		s.WaitReplayed(p.Cluster)
		s.Promote()
		s.archived()
		s.Exec("UPDATE a SET i = -1 WHERE i = 2")
		s.request.From, s.request.To = from, s.backupStart()
		s.archived()
		s.request.History = s.history(2)
		s.request.FromTimeline = 1
		copyWAL(t, p.archive, s.archive)

		req := s.request
		end := req.History.Ancestors[0].End
		segment := req.Geometry.SegmentOf(end)
		m, err := newReader(s.archive, "").scanArchived(t.Context(), req.Geometry.WALFileName(2, segment),
			scanOrder{start: req.Geometry.SegmentStart(segment)})
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Timelines) != 1 || m.Timelines[0].Timeline != 1 {
			t.Fatalf("page headers name the timelines %v: not the case to be tested", m.Timelines)
		}
		s.Exec("CHECKPOINT")
		built := mustBuild(t, req)
		pagesInMap(t, s.DataDir, req, built.Map)

		// Where the server's history has it that timeline 2 began earlier, these are not its pages.
		req.History.Ancestors[0].End = req.Geometry.SegmentStart(segment)
		wantIncomplete(t, req)
	})
}
