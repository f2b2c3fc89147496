package repo_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// The segments that a backup needs are those from its start to its stop position.
func TestNeededWAL(t *testing.T) {
	g := pg.DefaultGeometry()
	seg := func(n uint64) string { return g.WALFileName(1, pg.SegNo(n)) }
	m := func(start, stop pg.LSN, names ...string) *repo.Manifest {
		return &repo.Manifest{
			ID: "B", Timeline: 1, Geometry: g, StartLSN: start, StopLSN: stop,
			WAL: repo.WALNeed{Segments: names},
		}
	}
	for name, tc := range map[string]struct {
		m    *repo.Manifest
		want []string
		err  bool
	}{
		"one":               {m(0x2000028, 0x2000100, seg(2)), []string{seg(2)}, false},
		"ends at the end":   {m(0x2000028, 0x3000000, seg(2)), []string{seg(2)}, false},
		"two":               {m(0x2000028, 0x3000001, seg(2), seg(3)), []string{seg(2), seg(3)}, false},
		"more listed":       {m(0x2000028, 0x2000100, seg(2), seg(3)), []string{seg(2)}, false},
		"not listed at all": {m(0x2000028, 0x3000001), []string{seg(2), seg(3)}, false},
		"history listed":    {m(0x2000028, 0x2000100, "00000002.history", seg(2)), []string{seg(2)}, false},
		"newer timeline":    {m(0x2000028, 0x2000100, seg(2), g.WALFileName(2, 2)), []string{g.WALFileName(2, 2)}, false},
		"one not listed":    {m(0x2000028, 0x3000001, seg(2)), nil, true},
		"nonsense":          {m(0x2000028, 0x3000001, "x"), nil, true},
		"carried":           {carried(m(0x2000028, 0x2000100, seg(2)), seg(2)), []string{seg(2)}, false},
		"not carried":       {carried(m(0x2000028, 0x3000001, seg(2), seg(3)), seg(2)), nil, true},
		"backwards":         {m(0x2000028, 0x2000028), nil, true},
	} {
		got, err := tc.m.NeededWAL()
		if (err != nil) != tc.err {
			t.Errorf("%s: %v", name, err)
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}

// carried makes m a backup that carries these segments.
func carried(m *repo.Manifest, names ...string) *repo.Manifest {
	m.WAL.Mode = repo.WALCarried
	for _, name := range names {
		m.Objects = append(m.Objects, repo.Object{Name: "wal/" + name})
	}
	return m
}
