package check

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/repo/storetest"
)

// moment is when the tests look.
func moment() time.Time { return time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC) }

const someBackup = "20261126T000000Z-F"

// taken is a backup that ended so long ago.
func taken(ago time.Duration, spoil func(*repo.Manifest)) *repo.Manifest {
	m := &repo.Manifest{ID: someBackup, Status: repo.StatusOK, Type: repo.TypeFull, FinishedAt: moment().Add(-ago)}
	if spoil != nil {
		spoil(m)
	}
	return m
}

// verdict wants a status, with these words, and a remedy where something is wrong.
func verdict(t *testing.T, name string, f Finding, want Status, words string) {
	t.Helper()
	if f.Status != want || !strings.Contains(f.Message, words) {
		t.Errorf("%s: %s: %s; want %s: %s", name, f.Status, f.Message, want, words)
	}
	if (f.Remedy != "") != (want == Warning || want == Critical) {
		t.Errorf("%s: remedy %q", name, f.Remedy)
	}
}

// Backups are judged by the one that ended last, in whatever order they are listed.
func TestBackups(t *testing.T) {
	o := Options{MaxBackupAge: 26 * time.Hour, Clock: moment}
	old := taken(50*time.Hour, nil)
	broken := &repo.Manifest{ID: "20261125T000000Z-F", Status: repo.StatusBroken, FinishedAt: moment()}
	for name, tt := range map[string]struct {
		all               []*repo.Manifest
		whole, age, pages Status
	}{
		"none":           {nil, Critical, Skipped, Skipped},
		"one":            {[]*repo.Manifest{taken(time.Hour, nil)}, OK, OK, OK},
		"old":            {[]*repo.Manifest{old}, OK, Critical, OK},
		"old last":       {[]*repo.Manifest{taken(time.Hour, nil), old}, OK, OK, OK},
		"broken":         {[]*repo.Manifest{broken, old}, Critical, Critical, OK},
		"from tomorrow":  {[]*repo.Manifest{taken(-24*time.Hour, nil)}, OK, Warning, OK},
		"a clock's whim": {[]*repo.Manifest{taken(-time.Second, nil)}, OK, OK, OK},
		"corrupt": {[]*repo.Manifest{taken(time.Hour, func(m *repo.Manifest) {
			m.CorruptPages = []repo.CorruptPage{{Path: "base/1/2"}}
		})}, OK, OK, Critical},
	} {
		b := &backups{all: tt.all, o: o}
		verdict(t, name, b.whole(), tt.whole, "")
		verdict(t, name, b.age(), tt.age, "")
		verdict(t, name, b.corruptPages(), tt.pages, "")
	}
}

// Room is compared with the last backup, and with the last full one.
func TestSpace(t *testing.T) {
	const most = 1 << 62 // more than any file system has
	stored := func(n int64, kind string) *repo.Manifest {
		return taken(time.Hour, func(m *repo.Manifest) { m.StoredBytes, m.Type = n, kind })
	}
	full, small, large := stored(1, repo.TypeFull), stored(1, repo.TypeIncremental), stored(most, repo.TypeFull)
	large.FinishedAt = moment().Add(-48 * time.Hour)
	o := Options{Dir: t.TempDir(), Clock: moment}
	for name, tt := range map[string]struct {
		all  []*repo.Manifest
		want Status
	}{
		"no backup":     {nil, OK},
		"enough":        {[]*repo.Manifest{full, small}, OK},
		"not for full":  {[]*repo.Manifest{large, small}, Warning},
		"for none":      {[]*repo.Manifest{large}, Critical},
		"full was once": {[]*repo.Manifest{large, full}, OK},
	} {
		verdict(t, name, (&backups{all: tt.all, o: o}).space(), tt.want, "free")
	}
	verdict(t, "not a directory", (&backups{o: Options{}}).space(), Skipped, "not a directory")
	o.Dir += "/not-there"
	if f := (&backups{o: o}).space(); f.Status != Critical {
		t.Errorf("no directory: %s: %s", f.Status, f.Message)
	}
}

// The newest drill counts, whatever became of it, and of its document.
func TestDrill(t *testing.T) {
	ctx := t.Context()
	st := storetest.NewMemory()
	c, _, err := repo.Init(ctx, st,
		repo.ClusterInfo{Name: "main", SystemIdentifier: 7, PGVersion: 150018, Geometry: pg.DefaultGeometry()})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Clock: moment}
	demanding := o
	demanding.MaxDrillAge = 24 * time.Hour
	verdict(t, "none", drill(ctx, c, o), Skipped, "yet")
	verdict(t, "none", drill(ctx, c, demanding), Critical, "ever")
	at := moment().Add(-48 * time.Hour)
	put := func(d repo.Drill) string {
		t.Helper()
		at = at.Add(time.Minute)
		d.Backup, d.StartedAt, d.FinishedAt = someBackup, at, at
		if err := c.PutDrill(ctx, &d); err != nil {
			t.Fatal(err)
		}
		return "main/drills/" + d.ID + ".json"
	}
	reached := &repo.Reached{LSN: 1, Timeline: 1}
	put(repo.Drill{Result: repo.DrillFailed, Error: "disk full"})
	verdict(t, "failed", drill(ctx, c, o), Critical, "disk full")
	put(repo.Drill{Result: repo.DrillFindings, Reached: reached, Checks: []repo.Verdict{
		{Name: "amcheck", Result: repo.DrillSkipped, Detail: "too old"},
		{Name: "sql", Result: repo.DrillFindings, Detail: "no rows"},
	}})
	verdict(t, "findings", drill(ctx, c, o), Critical, "recovered, but sql: no rows")
	object := put(repo.Drill{Result: repo.DrillOK, Reached: reached, RecoverySeconds: 90})
	verdict(t, "good", drill(ctx, c, o), OK, "recovered in 1m30s")
	verdict(t, "too long ago", drill(ctx, c, demanding), Critical, "allowed are 24.0 hours")
	st.Damage(object, []byte("{}"))
	verdict(t, "damaged", drill(ctx, c, o), Critical, object)
}

// The worst counts, and what was skipped does not.
func TestWorst(t *testing.T) {
	warning, critical := Finding{Status: Warning}, Failed("x", errors.New("gone"), "")
	for _, tt := range []struct {
		findings []Finding
		want     Status
	}{
		{nil, OK},
		{[]Finding{skipped("x", "y"), ok("x", "y")}, OK},
		{[]Finding{warning, skipped("x", "y")}, Warning},
		{[]Finding{ok("x", "y"), critical, warning}, Critical},
	} {
		if got := Worst(tt.findings); got != tt.want {
			t.Errorf("%v: %s", tt.findings, got)
		}
	}
}
