package restore

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// Names of databases are those of the backup; templates and what initdb makes are never left out.
func TestNewStandIns(t *testing.T) {
	m := &repo.Manifest{ID: "x", Databases: []repo.Database{
		{OID: 1, Name: "template1", Template: true},
		{OID: 5, Name: "postgres"},
		{OID: 16390, Name: "a"},
		{OID: 16391, Name: `b"c`},
		{OID: 16392, Name: "mine", Template: true},
		{OID: 16393, Name: "d"},
	}}
	s, err := newStandIns(m, []string{"a"})
	must(t, err)
	if d := cmp.Diff(map[pg.OID]bool{16391: true, 16393: true}, s.oids); d != "" {
		t.Error(d)
	}
	if want := "oid IN (16391, 16393) \\gexec"; !strings.HasSuffix(s.dropSQL(), want) {
		t.Errorf("%s", s.dropSQL())
	}
	if s, err = newStandIns(m, nil); s != nil || err != nil || s.dropSQL() != "" {
		t.Errorf("no names: %v, %v", s, err)
	}
	if s, err = newStandIns(m, []string{"a", `b"c`, "d"}); err != nil || s.dropSQL() != "" {
		t.Errorf("all names: %v, %v", s, err)
	}
	var unknown *DatabaseError
	if _, err = newStandIns(m, []string{"a", "A"}); !errors.As(err, &unknown) ||
		err.Error() != `backup x: no database "A"; it has template1, postgres, a, b"c, mine, d` {
		t.Errorf("an unknown name: %v", err)
	}
	if _, err = newStandIns(&repo.Manifest{ID: "x"}, []string{"a"}); !errors.As(err, &unknown) ||
		!strings.Contains(err.Error(), "does not tell") {
		t.Errorf("an old backup: %v", err)
	}
	o := Options{Target: "/x", Databases: []string{"a"}, Standby: true}
	if err := o.verify(m); err == nil {
		t.Error("a standby of some databases")
	}
}

// Only relations and PG_VERSION of databases that are left out are replaced, wherever their tablespace.
func TestStandInFiles(t *testing.T) {
	s := &standIns{oids: map[pg.OID]bool{16391: true}}
	g := fabGeometry()
	relation := func(path string) *repo.File {
		return &repo.File{Path: path, Kind: repo.KindRelation, Size: 3 * int64(g.BlockSize), Mode: 0o600}
	}
	plain := func(path string) *repo.File { return &repo.File{Path: path, Kind: repo.KindFile, Size: 3, Sum: 7} }
	for f, replaced := range map[*repo.File]bool{
		relation("base/16391/2662"): true, relation("base/16391/2662_vm"): true, relation("base/16391/2662.1"): true,
		relation(fabSpace + "/16391/30000"): true, relation("base/16390/2662"): false, relation("global/1262"): false,
		relation("base/1/16391"): false, plain("base/16391/PG_VERSION"): true, plain(fabSpace + "/16391/PG_VERSION"): true,
		plain("base/16391/pg_filenode.map"): false, plain("base/1/PG_VERSION"): false, plain("PG_VERSION"): false,
		{Path: "base/16391", Kind: repo.KindDir}: false,
	} {
		before := *f
		cf := &repo.ChainFile{Path: f.Path, Versions: []*repo.File{f, relation(f.Path)}, Depth: []int{0, 1}}
		got := s.replace(cf, g)
		if (got != cf) != replaced {
			t.Errorf("%s: replaced %v", f.Path, got != cf)
		}
		if d := cmp.Diff(before, *f); d != "" {
			t.Errorf("the index's entry was changed: %s", d)
		}
		if !replaced {
			continue
		}
		pieces, zero, err := resolve(got, g)
		if err != nil || len(pieces) > 0 || len(zero) != len(got.Versions[0].Zero) {
			t.Errorf("%s: %v, %v, %v", f.Path, pieces, zero, err)
		}
		ignore := cmpopts.IgnoreFields(repo.File{}, "Whole", "Zero", "Size", "Sum")
		if d := cmp.Diff(before, *got.Versions[0], ignore); d != "" {
			t.Error(d)
		}
	}
}
