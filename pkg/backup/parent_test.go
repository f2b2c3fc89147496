package backup

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

func testPosition() position {
	return position{
		control: pg.Control{
			SystemIdentifier: 7, CatalogVersion: 9, Geometry: testGeometry,
			Timeline: 3, MinRecoveryPoint: 0x9000,
		},
		start: 0x8000, version: 170012,
		history: pg.History{Timeline: 3, Ancestors: []pg.Ancestor{
			{Timeline: 1, End: 0x3000}, {Timeline: 2, End: 0x6000},
		}},
	}
}

func TestUnusableParent(t *testing.T) {
	// A chain never crosses a system identifier, a version or a geometry, never leaves the
	// server's timeline history, and never goes back in WAL.
	good := repo.Manifest{
		Status: repo.StatusOK, SystemIdentifier: 7, PGVersion: 170002, CatalogVersion: 9,
		Geometry: testGeometry, Timeline: 3, StartLSN: 0x7000, StopLSN: 0x7100,
		History: "1\t0/3000\tx\n2\t0/6000\ty\n",
	}
	tests := []struct {
		name   string
		change func(*repo.Manifest, *position)
		why    string // "": usable
	}{
		{"good", func(*repo.Manifest, *position) {}, ""},
		{"broken", func(m *repo.Manifest, _ *position) { m.Status = repo.StatusBroken }, "status"},
		{"foreign", func(m *repo.Manifest, _ *position) { m.SystemIdentifier = 8 }, "system identifier"},
		{"upgraded", func(_ *repo.Manifest, p *position) { p.version = 180001 }, "PostgreSQL 17"},
		{"catalog", func(_ *repo.Manifest, p *position) { p.control.CatalogVersion = 10 }, "catalog version"},
		{"geometry", func(_ *repo.Manifest, p *position) { p.control.Geometry.WALSegmentSize *= 2 }, "sizes"},
		{"older timeline", func(m *repo.Manifest, _ *position) {
			m.Timeline, m.StartLSN, m.StopLSN, m.History = 2, 0x5000, 0x6000, "1\t0/3000\tx\n"
		}, ""},
		{"oldest timeline", func(m *repo.Manifest, _ *position) {
			m.Timeline, m.StartLSN, m.StopLSN, m.History = 1, 0x2000, 0x3000, ""
		}, ""},
		{"ended after the switch", func(m *repo.Manifest, _ *position) {
			m.Timeline, m.StartLSN, m.StopLSN, m.History = 2, 0x5000, 0x6001, "1\t0/3000\tx\n"
		}, "not in the history"},
		{"newer timeline", func(m *repo.Manifest, _ *position) { m.Timeline = 4 }, "not in the history"},
		{"other branch of the same number", func(m *repo.Manifest, _ *position) {
			m.History = "1\t0/3000\tx\n2\t0/6010\ty\n"
		}, "another history"},
		{"other ancestors", func(m *repo.Manifest, _ *position) { m.History = "2\t0/6000\ty\n" }, "another history"},
		{"history unreadable", func(m *repo.Manifest, _ *position) { m.History = "x" }, "history"},
		{"WAL reset", func(_ *repo.Manifest, p *position) { p.start = 0x7080 }, "reset"},
		{"WAL reset further", func(_ *repo.Manifest, p *position) { p.start = 0x6FFF }, "before its start"},
		{"follows at once", func(_ *repo.Manifest, p *position) { p.start = 0x7100 }, ""},
		{"standby, same restartpoint", func(_ *repo.Manifest, p *position) {
			p.start, p.standby = 0x7000, true
		}, ""},
		{"another standby that lags", func(_ *repo.Manifest, p *position) {
			p.start, p.standby, p.control.MinRecoveryPoint = 0x7000, true, 0x70FF
		}, "only written pages"},
		{"standby before", func(_ *repo.Manifest, p *position) {
			p.start, p.standby = 0x6F00, true
		}, "before its start"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m, p := good, testPosition()
			tt.change(&m, &p)
			got := p.unusable(&m)
			if (got == "") != (tt.why == "") || !strings.Contains(got, tt.why) {
				t.Errorf("%q, want %q", got, tt.why)
			}
		})
	}
}

func TestParentChoice(t *testing.T) {
	// Without a usable parent the backup is full and says why; an older usable one is better than
	// none; a name that does not exist is an error.
	x := newSite(t)
	m := x.must(t, incremental(MapLSN))
	if m.Type != repo.TypeFull || m.FullReason == "" {
		t.Fatalf("first: %s, %q", m.Type, m.FullReason)
	}
	first := m
	x.s.advance(t, x.root, 0x700028, 0x7F0100)
	second := x.must(t, incremental(MapLSN))
	x.s.advance(t, x.root, 0x900028, 0x9F0100)
	third := x.must(t, func(o *Options) { o.Incremental, o.Parent = true, "latest-full" })
	if second.Parent != first.ID || third.Parent != first.ID {
		t.Errorf("parents %s, %s", second.Parent, third.Parent)
	}
	// The server goes back to before the third one, as after a restore in time: the second serves.
	x.s.advance(t, x.root, 0x800028, 0x8F0100)
	m = x.must(t, incremental(MapLSN))
	if m.Parent != second.ID || len(m.Warnings) != 1 || !strings.Contains(m.Warnings[0], third.ID) {
		t.Errorf("parent %s, warnings %v", m.Parent, m.Warnings)
	}
	m = x.must(t, func(o *Options) { o.Incremental, o.Parent = true, third.ID })
	if m.Type != repo.TypeFull || !strings.Contains(m.FullReason, third.ID) {
		t.Errorf("%s, %q", m.Type, m.FullReason)
	}
	_, err := x.run(t, func(o *Options) { o.Incremental, o.Parent = true, "nonsense" })
	if !errors.Is(err, repo.ErrNotFound) {
		t.Errorf("a parent that does not exist: %v", err)
	}
}

func TestParentIncomplete(t *testing.T) {
	// A parent whose objects are not all there is not built on.
	x := newSite(t)
	full := x.must(t, nil)
	x.s.advance(t, x.root, 0x700028, 0x7F0100)
	if err := x.store.Delete(t.Context(), "main/backups/"+full.ID+"/"+full.Objects[0].Name); err != nil {
		t.Fatal(err)
	}
	m := x.must(t, incremental(MapLSN))
	if m.Type != repo.TypeFull || !strings.Contains(m.FullReason, full.ID) {
		t.Errorf("%s, %q", m.Type, m.FullReason)
	}
}

func TestPostmasterFile(t *testing.T) {
	// What is no postmaster.pid is refused, never guessed at.
	for _, bad := range []string{"", "1\n", "1\n/d\nx\n5432\n/s\n", "1\n/d\n17\nx\n/s\n", "1\n/d\n17\n"} {
		if _, err := parsePostmasterFile([]byte(bad)); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	pm, err := parsePostmasterFile([]byte("1\n/d\n1700000000\n5433\n/s\n*\n  12 34\nready   \n"))
	if err != nil || pm.port != 5433 || pm.start.Unix() != 1_700_000_000 {
		t.Errorf("%+v, %v", pm, err)
	}
}

func TestControlRetry(t *testing.T) {
	// A pg_control that stays unreadable is an error in the end.
	root := testDataDir(t)
	b := testControl(t, testStart)
	b[40]++
	if err := os.WriteFile(root+"/"+controlPath, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := readControl(t.Context(), root); err == nil {
		t.Error("a wrong CRC is taken")
	}
}
