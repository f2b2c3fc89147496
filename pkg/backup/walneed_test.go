package backup

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

func TestWALNeed(t *testing.T) {
	// The segments from start to stop, each of the newest timeline that has it.
	h := pg.History{Timeline: 3, Ancestors: []pg.Ancestor{
		{Timeline: 1, End: 0x180000}, {Timeline: 2, End: 0x320000},
	}}
	tests := []struct {
		name        string
		h           pg.History
		from        pg.TimelineID
		start, stop pg.LSN
		want        string
	}{
		{"one", pg.History{Timeline: 1}, 1, 0x100028, 0x100100, "1/1"},
		{"ends with a segment", pg.History{Timeline: 1}, 1, 0x100028, 0x200000, "1/1"},
		{"just behind", pg.History{Timeline: 1}, 1, 0x100028, 0x200001, "1/1 1/2"},
		{"later timeline", h, 3, 0x400028, 0x500100, "3/4 3/5"},
		{"across", h, 2, 0x200028, 0x400100, "2/2 3/3 3/4"},
		{"across two in a segment's middle", h, 1, 0x100028, 0x330000, "2/1 2/2 3/3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			names, err := neededSegments(testGeometry, tt.h, tt.from, tt.start, tt.stop)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for w := range strings.FieldsSeq(tt.want) {
				want = append(want, "0000000"+w[:1]+"000000000000000"+w[2:])
			}
			if diff := cmp.Diff(want, names); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := neededSegments(testGeometry, h, 3, 5, 5); err == nil {
		t.Error("an empty range is taken")
	}
	if _, err := neededSegments(testGeometry, h, 7, 5, 6); err == nil {
		t.Error("a timeline out of the history is taken")
	}
}

func TestWALModes(t *testing.T) {
	// A backup's WAL is in the archive or in the backup, and the archive is relied on only when
	// it demonstrably gets this server's WAL.
	archived := func(x *site) { x.s.info.ArchiveMode, x.s.info.ArchiveCommand = "on", "x" }
	seg := testGeometry.WALFileName(1, testGeometry.SegmentOf(testStart))
	before := testGeometry.WALFileName(1, testGeometry.SegmentOf(testStart)-1)
	put := func(t *testing.T, x *site, names ...string) {
		for _, name := range names {
			content, err := os.ReadFile(x.root + "/pg_wal/" + name)
			if errors.Is(err, fs.ErrNotExist) {
				content, err = []byte("wal of "+name), nil
			}
			if err == nil {
				err = x.c.WAL(repo.Compression{}).Put(t.Context(), name, bytes.NewReader(content))
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name, wal string
		prepare   func(*testing.T, *site)
		want      string // mode; "": an error
		warned    bool
	}{
		{"no archive", walAuto, func(*testing.T, *site) {}, repo.WALCarried, false},
		{"archive elsewhere", walAuto, func(_ *testing.T, x *site) {
			archived(x)
			x.s.archived = before
		}, repo.WALCarried, false},
		{"nothing archived yet", walAuto, func(_ *testing.T, x *site) { archived(x) }, repo.WALCarried, false},
		{"archived", walAuto, func(t *testing.T, x *site) {
			archived(x)
			x.s.archived = before
			put(t, x, before, seg)
		}, repo.WALArchived, false},
		{"archive is behind", walAuto, func(t *testing.T, x *site) {
			archived(x)
			x.s.archived = before
			put(t, x, before)
		}, repo.WALCarried, true},
		{"named, archived", walArchive, func(t *testing.T, x *site) { put(t, x, seg) }, repo.WALArchived, false},
		{"named, behind", walArchive, func(*testing.T, *site) {}, "", false},
		{"carried though archived", walStream, func(t *testing.T, x *site) {
			archived(x)
			x.s.archived = before
			put(t, x, before, seg)
		}, repo.WALCarried, false},
		{"gone from pg_wal, archived", walStream, func(t *testing.T, x *site) {
			put(t, x, seg)
			if err := os.Remove(x.root + "/pg_wal/" + seg); err != nil {
				t.Fatal(err)
			}
		}, repo.WALCarried, true},
		{"gone from everywhere", walStream, func(t *testing.T, x *site) {
			if err := os.Remove(x.root + "/pg_wal/" + seg); err != nil {
				t.Fatal(err)
			}
		}, "", false},
		{"recycled segment", walStream, func(t *testing.T, x *site) {
			if err := os.Rename(x.root+"/pg_wal/"+seg, x.root+"/pg_wal/x"); err != nil {
				t.Fatal(err)
			}
			writeSegment(t, x.root, 1, testGeometry.SegmentOf(testStart)-1)
			if err := os.Rename(x.root+"/pg_wal/"+before, x.root+"/pg_wal/"+seg); err != nil {
				t.Fatal(err)
			}
		}, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			x := newSite(t)
			tt.prepare(t, x)
			m, err := x.run(t, func(o *Options) { o.WAL = tt.wal })
			if (err != nil) != (tt.want == "") {
				t.Fatal(err)
			}
			if err != nil {
				t.Log(err)
				x.clean(t, 0)
				return
			}
			if m.WAL.Mode != tt.want || (len(m.Warnings) > 0) != tt.warned || len(m.WAL.Segments) != 1 {
				t.Errorf("mode %s with %v, warnings %v", m.WAL.Mode, m.WAL.Segments, m.Warnings)
			}
		})
	}
}

func TestFollowStops(t *testing.T) {
	// WAL is carried while the backup runs, but not once a newer timeline decides where it lies.
	x := newSite(t)
	newer, err := newerTimeline(x.root+"/pg_wal", 1)
	if err != nil || newer {
		t.Fatalf("%v, %v", newer, err)
	}
	write(t, x.root, "pg_wal/00000005.history", []byte("1\t0/3000\tx\n"))
	if newer, err = newerTimeline(x.root+"/pg_wal", 1); err != nil || !newer {
		t.Errorf("%v, %v", newer, err)
	}
	if newer, err = newerTimeline(x.root+"/pg_wal", 5); err != nil || newer {
		t.Errorf("%v, %v", newer, err)
	}
}

func TestReadHistory(t *testing.T) {
	// A history is looked for in pg_wal, then in the archive, and none means no ancestors.
	x := newSite(t)
	archive := x.c.WAL(repo.Compression{})
	walDir := x.root + "/pg_wal"
	look := func(tli pg.TimelineID) history {
		t.Helper()
		h, err := readHistory(t.Context(), walDir, archive, tli)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	if h := look(1); h.file != nil || h.Timeline != 1 {
		t.Errorf("timeline 1: %+v", h)
	}
	if h := look(3); h.file != nil || h.Timeline != 3 || len(h.Ancestors) != 0 {
		t.Errorf("no file: %+v", h)
	}
	if err := archive.Put(t.Context(), "00000003.history", strings.NewReader("1\t0/3000\tx\n")); err != nil {
		t.Fatal(err)
	}
	if h := look(3); len(h.Ancestors) != 1 || h.Ancestors[0].End != 0x3000 {
		t.Errorf("archived: %+v", h)
	}
	write(t, x.root, "pg_wal/00000003.history", []byte("1\t0/4000\tx\n"))
	if h := look(3); len(h.Ancestors) != 1 || h.Ancestors[0].End != 0x4000 {
		t.Errorf("in pg_wal: %+v", h)
	}
	write(t, x.root, "pg_wal/00000003.history", []byte("nonsense"))
	if _, err := readHistory(t.Context(), walDir, archive, 3); err == nil {
		t.Error("a broken history is taken")
	}
}
