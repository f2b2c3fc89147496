package wal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/pgincr/pgincr/pkg/pg"
)

// The end of archived WAL is a position up to which there is a map: in front of the record that the
// archive has only the beginning of, at the end of a segment where there is none, before a
// gap, and before the segments that are filled by a record without an end.
func TestEnd(t *testing.T) {
	w := newWAL(t, 16)
	from := w.touch(1, 0)
	w.fillTo(w.g.SegmentStart(2) - 200)
	crossing := w.record(21, 0, mainData(bytes.Repeat([]byte{'x'}, 400)))
	w.touch(2, 0)
	w.switchSegment() // ends segment 2
	w.touch(3, 0)
	w.fillTo(w.g.SegmentStart(4) - 200)
	long := w.record(21, 0, mainData(bytes.Repeat([]byte{'x'}, 3<<20))) // fills segments 4 to 6
	w.touch(4, 0)
	w.switchSegment()
	name := func(n pg.SegNo) string { return w.g.WALFileName(1, n) }
	for _, tt := range []struct {
		name    string
		missing pg.SegNo
		want    pg.LSN
	}{
		{"record cut", 2, crossing},
		{"segment switched", 3, w.g.SegmentStart(3)},
		{"long record cut", 4, long},
		{"long record without an end", 6, long},
		{"all", 9, w.g.SegmentStart(8)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req := w.request(from, 0)
			dir := req.Archive.(*dirArchive).dir
			if err := os.Remove(filepath.Join(dir, name(tt.missing))); err != nil && tt.missing < 9 {
				t.Fatal(err)
			}
			for range 2 { // without stored maps, and with those that Build has stored
				end, err := End(t.Context(), req)
				if err != nil || end != tt.want {
					t.Fatalf("%s, %v, want %s", end, err, tt.want)
				}
				req.To = end
				mustBuild(t, req)
			}
		})
	}
	req := w.request(from, 0)
	if err := os.Remove(filepath.Join(req.Archive.(*dirArchive).dir, name(1))); err != nil {
		t.Fatal(err)
	}
	var incomplete *IncompleteError
	if _, err := End(t.Context(), req); !errors.As(err, &incomplete) || incomplete.Segment != name(1) {
		t.Errorf("without the first segment: %v", err)
	}
}
