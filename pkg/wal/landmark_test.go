package wal

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
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

// landmarksOf gives where the landmarks of the written segments are.
func landmarksOf(t *testing.T, w *walWriter) ([]pg.LSN, error) {
	t.Helper()
	var parts []SegmentPart
	for n := pg.SegNo(1); w.segs[n] != nil; n++ {
		name := w.g.WALFileName(1, n)
		parts = append(parts, SegmentPart{Name: name, Start: w.g.SegmentStart(n), End: w.g.SegmentStart(n + 1)})
	}
	var found []pg.LSN
	for m, err := range Landmarks(t.Context(), parts, func(_ context.Context, name string) (io.ReadCloser, error) {
		_, n, err := w.g.ParseWALFileName(name)
		return io.NopCloser(bytes.NewReader(w.segs[n])), err
	}) {
		if err != nil {
			return nil, err
		}
		found = append(found, m.LSN)
	}
	return found, nil
}

// commit writes the end of a transaction with as many subtransactions.
func (w *walWriter) commit(subxacts int) pg.LSN {
	main := make([]byte, 8+4, 8+4+4+4*subxacts)
	main[8] = xactHasSubxacts
	main = binary.LittleEndian.AppendUint32(main, uint32(subxacts))
	return w.record(rmgrXact, xactHasInfo, mainData(main[:cap(main)]))
}

// A record of any length is passed by or found, within a segment and across many, and proved.
func TestLandmarksByLongRecords(t *testing.T) {
	t.Parallel()
	for _, size := range []uint32{1 << 20, 128 << 20} {
		w := newWAL(t, 17)
		w.g.WALSegmentSize = size
		w.pos = w.g.SegmentStart(1)
		message := w.record(21, 0, mainData(make([]byte, cutFrom)))
		want := []pg.LSN{w.commit(maxHeld / 4), w.commit(3)}
		w.switchSegment()
		if got, err := landmarksOf(t, w); err != nil || !slices.Equal(got, want) {
			t.Errorf("in segments of %d bytes: %v, %v, want %v", size, got, err, want)
		}
		w.segment(message + cutFrom/2)[1000] ^= 1
		if got, err := landmarksOf(t, w); !errors.Is(err, errChecksum) {
			t.Errorf("a bit of a message is wrong: %v, %v", got, err)
		}
	}
}

// A transaction's end that crosses out of a segment is found though a lost record ran into that segment.
func TestLandmarkBehindLostRecord(t *testing.T) {
	w := newWAL(t, 17)
	w.touch(1, 1)
	w.lose(make([]byte, 2<<20), w.g.SegmentStart(2)+4*pg.LSN(w.g.WALBlockSize))
	w.fillTo(w.g.SegmentStart(3) - 32)
	want := w.commit(10)
	w.switchSegment()
	if got, err := landmarksOf(t, w); err != nil || !slices.Equal(got, []pg.LSN{want}) {
		t.Errorf("%v, %v, want %s", got, err, want)
	}
}
