package restore

import (
	"errors"
	"testing"

	"github.com/pgincr/pgincr/pkg/repo"
)

// An index cannot make a restore write outside of its directories, or write a path twice.
func TestPathGuard(t *testing.T) {
	type entry struct {
		path string
		kind repo.FileKind
		link string
	}
	dir := func(p string) entry { return entry{path: p, kind: repo.KindDir} }
	file := func(p string) entry { return entry{path: p, kind: repo.KindFile} }
	link := func(p, to string) entry { return entry{path: p, kind: repo.KindLink, link: to} }
	for name, tc := range map[string]struct {
		entries []entry
		ok      bool
	}{
		"ordinary": {[]entry{
			dir("."), dir("base"), dir("base/1"), file("base/1/16384.2"),
			file("base/1/16384.10"), file("postgresql.conf"),
		}, true},
		"tablespace": {
			[]entry{dir("pg_tblspc"), link("pg_tblspc/16384", "/ts"), dir("pg_tblspc/16384/PG_15_1")},
			true,
		},
		"absolute":            {[]entry{file("/etc/passwd")}, false},
		"parent":              {[]entry{file("../x")}, false},
		"parent inside":       {[]entry{file("base/../../x")}, false},
		"parent at the end":   {[]entry{dir("base/..")}, false},
		"dot":                 {[]entry{file("./x")}, false},
		"empty element":       {[]entry{file("base//x")}, false},
		"trailing slash":      {[]entry{dir("base/")}, false},
		"empty":               {[]entry{file("")}, false},
		"zero byte":           {[]entry{file("base\x00/x")}, false},
		"through a file":      {[]entry{file("base"), file("base/x")}, false},
		"twice":               {[]entry{file("base/x"), file("base/x")}, false},
		"out of order":        {[]entry{file("b"), file("a")}, false},
		"link elsewhere":      {[]entry{link("base", "/etc")}, false},
		"link deeper":         {[]entry{link("pg_tblspc/16384/PG_15_1", "/etc")}, false},
		"link with a name":    {[]entry{link("pg_tblspc/x", "/etc")}, false},
		"link padded":         {[]entry{link("pg_tblspc/016384", "/etc")}, false},
		"link relative":       {[]entry{link("pg_tblspc/16384", "../x")}, false},
		"link with zero byte": {[]entry{link("pg_tblspc/16384", "/x\x00")}, false},
		"root later":          {[]entry{dir("base"), dir(".")}, false},
		"root is a file":      {[]entry{file(".")}, false},
		"unknown kind":        {[]entry{{path: "x", kind: 9}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var g pathGuard
			var err error
			for _, e := range tc.entries {
				if err = g.verify(&repo.File{Path: e.path, Kind: e.kind, Link: e.link}); err != nil {
					break
				}
			}
			if tc.ok != (err == nil) {
				t.Fatalf("got %v, want accepted %v", err, tc.ok)
			}
			if err != nil && !errors.Is(err, repo.ErrCorrupt) {
				t.Errorf("%v: not ErrCorrupt", err)
			}
		})
	}
}

// What a restore decides itself is never taken from the index.
func TestLeft(t *testing.T) {
	for path, want := range map[string]bool{
		"global/pg_control": true, "backup_label": true, "tablespace_map": true, "standby.signal": true,
		"recovery.signal": true, "backup_manifest": true, "postmaster.pid": true, markerName: true,
		"pg_wal/000000010000000000000001": true, "pg_wal/archive_status/x.ready": true,
		"postgresql.auto.conf": false, "base/1/1259": false, "pg_walls/x": false,
	} {
		if got := left(&repo.File{Path: path, Kind: repo.KindFile}); got != want {
			t.Errorf("%s: left out %v, want %v", path, got, want)
		}
	}
	if left(&repo.File{Path: "pg_wal/summaries", Kind: repo.KindDir}) {
		t.Error("a directory below pg_wal is left out")
	}
}
