package backup

import (
	"path/filepath"
	"testing"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

func TestTrustedTimes(t *testing.T) {
	// In LSN mode a file whose times prove that nobody wrote it since before the parent is not read,
	// unless the operator forbids it.
	x := newSite(t)
	full := x.must(t, nil)
	chain, err := x.c.OpenChain(t.Context(), full)
	if err != nil {
		t.Fatal(err)
	}
	defer chain.Close()
	var parent *repo.ChainFile
	for f, err := range chain.Files(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if f.Path == "base/5/16384" {
			parent = f
		}
	}
	st, err := statPath(filepath.Join(x.root, "base/5/16384"), false)
	if err != nil {
		t.Fatal(err)
	}
	if st.identity.BirthTime == 0 {
		t.Skip("this file system keeps no birth times")
	}
	e := newEntry("base/5/16384", entryFile, st)
	e.rel, e.isRel = pg.ParseRelPath(e.path)
	p := planner{geometry: testGeometry}
	late := full.StartedAt.Add(3 * 60 * 1e9) // as if the parent had begun minutes after the file was written
	for _, tt := range []struct {
		name  string
		trust bool
		hash  bool
		want  pg.BlockNumber
	}{{"trusted", true, false, 0}, {"forbidden", false, false, 3}, {"hash mode", true, true, 3}} {
		src := &scanSource{trust: tt.trust, now: late, parentStarted: late}
		src.rules.HashAll = tt.hash
		p.source = src
		if work := p.work(p.plan(e, parent)); work != tt.want {
			t.Errorf("%s: %d blocks to look at, want %d", tt.name, work, tt.want)
		}
	}
}
