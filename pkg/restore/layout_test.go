package restore

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Tablespaces go where the options send them, and no directory of a restore lies in another.
func TestLayout(t *testing.T) {
	links := []pg.TablespaceLink{{OID: 16384, Path: "/ts/a"}, {OID: 16385, Path: "/ts/b c=d"}}
	old := &existing{wal: "/wal/now", spaces: map[pg.OID]string{16384: "/moved/a"}}
	for name, tc := range map[string]struct {
		o       Options
		old     *existing
		want    []string // data directory, pg_wal, tablespaces by OID
		problem TargetProblem
	}{
		"as they were": {o: Options{Target: "/d"}, want: []string{"/d", "/ts/a", "/ts/b c=d"}},
		"one moved": {
			o:    Options{Target: "/d", TablespaceMap: map[string]string{"/ts/a/": "/n/a/"}},
			want: []string{"/d", "/n/a", "/ts/b c=d"},
		},
		"root": {o: Options{Target: "/d", TablespaceRoot: "/n"}, want: []string{"/d", "/n/16384", "/n/16385"}},
		"root and one": {o: Options{
			Target: "/d", TablespaceRoot: "/n",
			TablespaceMap: map[string]string{"/ts/b c=d": "/x"},
		}, want: []string{"/d", "/n/16384", "/x"}},
		"waldir":   {o: Options{Target: "/d", WALDir: "/w/"}, want: []string{"/d", "/w", "/ts/a", "/ts/b c=d"}},
		"in place": {o: Options{Target: "/d"}, old: old, want: []string{"/d", "/wal/now", "/moved/a", "/ts/b c=d"}},
		"in place but moved": {
			o:   Options{Target: "/d", WALDir: "/w", TablespaceMap: map[string]string{"/ts/a": "/n"}},
			old: old, want: []string{"/d", "/w", "/n", "/ts/b c=d"},
		},
		"unknown": {
			o:       Options{Target: "/d", TablespaceMap: map[string]string{"/ts/c": "/n"}},
			problem: UnknownSpace,
		},
		"relative": {
			o:       Options{Target: "/d", TablespaceMap: map[string]string{"/ts/a": "n"}},
			problem: NotAbsolute,
		},
		"same twice": {o: Options{
			Target:        "/d",
			TablespaceMap: map[string]string{"/ts/a": "/n", "/ts/b c=d": "/n"},
		}, problem: Overlaps},
		"inside target": {
			o:       Options{Target: "/d", TablespaceMap: map[string]string{"/ts/a": "/d/ts"}},
			problem: Overlaps,
		},
		"target inside": {
			o:       Options{Target: "/n/d", TablespaceMap: map[string]string{"/ts/a": "/n"}},
			problem: Overlaps,
		},
		"waldir inside": {o: Options{Target: "/d", WALDir: "/d/pg_wal"}, problem: Overlaps},
		"only alike":    {o: Options{Target: "/d", WALDir: "/d1"}, want: []string{"/d", "/d1", "/ts/a", "/ts/b c=d"}},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := newLayout(&tc.o, links, tc.old)
			var te *TargetError
			if errors.As(err, &te) != (tc.problem != 0) || (te != nil && te.Problem != tc.problem) {
				t.Fatalf("got %v, want problem %d", err, tc.problem)
			}
			if err != nil {
				return
			}
			var got []string
			for _, p := range l.places() {
				got = append(got, p.dir)
			}
			if d := cmp.Diff(tc.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

// A file counts for the place that it lies in.
func TestPlaceOf(t *testing.T) {
	l := &layout{target: "/d", wal: "/w", spaces: map[pg.OID]string{16384: "/ts"}}
	for path, want := range map[string]string{
		"base/1/2": "", "pg_wal/x": "pg_wal", "pg_wal": "pg_wal", "pg_walx": "",
		"pg_tblspc/16384/PG_15/1/2": "pg_tblspc/16384", "pg_tblspc/16385/PG_15/1/2": "",
	} {
		if got := l.placeOf(path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
