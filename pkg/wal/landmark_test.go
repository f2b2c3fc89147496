package wal

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
)

// The ends of transactions, with the server's own time for them, and restore points are found
// in the WAL of every version, also where records cross segments.
func TestLandmarks(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		s := newSource(t, install, pgtest.Setting("track_commit_timestamp", "on"))
		start := s.request.Geometry.SegmentOf(s.lsn("SELECT pg_current_wal_lsn()")) + 1
		s.archived()
		wantTime := map[uint32]string{}
		var wantXIDs []uint32
		note := func(xid string, committed bool) {
			n, err := strconv.ParseUint(xid, 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			wantXIDs = append(wantXIDs, uint32(n))
			if committed {
				wantTime[uint32(n)] = s.Query1(
					"SELECT (extract(epoch FROM pg_xact_commit_timestamp('" + xid + "'::xid)) * 1000000)::bigint")
			}
		}
		s.Exec("CREATE TABLE t (id int); CREATE TABLE drops (id int); CREATE TABLE many (id int)")
		note(s.Query1("WITH i AS (INSERT INTO t VALUES (1)) SELECT pg_current_xact_id()::text"), true)
		session := s.Connect("postgres")
		session.Exec("BEGIN")
		session.Exec("INSERT INTO t VALUES (2)")
		aborted := session.Query1("SELECT pg_current_xact_id()::text")
		session.Exec("ROLLBACK")
		note(aborted, false)
		for i, end := range []string{"COMMIT", "ROLLBACK"} {
			session.Exec("BEGIN")
			for _, q := range []string{
				"SAVEPOINT a", fmt.Sprintf("CREATE TABLE x%d (id int)", i), "RELEASE a",
				fmt.Sprintf("INSERT INTO x%d VALUES (1)", i),
			} {
				session.Exec(q)
			}
			if i == 0 {
				session.Exec("DROP TABLE drops")
			}
			xid := session.Query1("SELECT pg_current_xact_id()::text")
			session.Exec("PREPARE TRANSACTION 'p'")
			s.Exec(end + " PREPARED 'p'")
			note(xid, i == 0)
		}
		// Enough records that some end a transaction across the end of a segment of 1 MB.
		for i := range 3000 {
			session.Exec(fmt.Sprintf("INSERT INTO many SELECT generate_series(1, %d)", 1+i%23))
		}
		session.Exec("SELECT pg_create_restore_point('before the drop')")
		session.Close()
		name := s.archived()

		g := s.request.Geometry
		_, last, err := g.ParseWALFileName(name)
		if err != nil {
			t.Fatal(err)
		}
		var parts []SegmentPart
		for n := start; n <= last; n++ {
			parts = append(parts, SegmentPart{Name: g.WALFileName(1, n), Start: g.SegmentStart(n), End: g.SegmentStart(n + 1)})
		}
		ends := map[uint32]time.Time{}
		points, at := 0, pg.LSN(0)
		for m, err := range Landmarks(t.Context(), parts, s.archive.Open) {
			if err != nil {
				t.Fatal(err)
			}
			if m.LSN <= at {
				t.Fatalf("%s comes after %s", m.LSN, at)
			}
			at = m.LSN
			if m.Kind == TransactionEnd {
				ends[m.XID] = m.Time
			} else if m.Name == "before the drop" && time.Since(m.Time) < time.Hour {
				points++
			}
		}
		if points != 1 {
			t.Errorf("%d restore points", points)
		}
		for _, xid := range wantXIDs {
			end, ok := ends[xid]
			if !ok {
				t.Errorf("the end of transaction %d was not found", xid)
			}
			if want := wantTime[xid]; want != "" && strconv.FormatInt(end.UnixMicro(), 10) != want {
				t.Errorf("transaction %d ended at %d, want %s", xid, end.UnixMicro(), want)
			}
		}
		newest := uint32(0)
		for xid := range ends {
			newest = max(newest, xid)
		}
		for xid := newest - 2999; xid <= newest; xid++ {
			if _, ok := ends[xid]; !ok {
				t.Errorf("the end of transaction %d, one of 3000 in %d segments, was not found", xid, len(parts))
			}
		}
	})
}
