package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgincr/pgincr/internal/pgtest"
)

// moment is the commit of a row, in every way in which a target can name it.
type moment struct {
	xid, time, name  string
	before, after    string // positions that the commit record lies between
	rowsThen, rowsOf string // all rows before it, and with it
}

// forked is a site with the second row that was committed on each timeline: both have the same name for it, and
// usually the same transaction id.
type forked struct {
	*site
	second [3]moment // by timeline
	atEnd  [3]string // the rows of the newest backup of each timeline
}

// commits adds a row and tells when.
func commits(t *testing.T, c *pgtest.Cluster, row, name string) (m moment) {
	t.Helper()
	session := c.Connect("postgres")
	defer session.Close()
	m.rowsThen, m.name = rowsIn(c), name
	session.Exec(`BEGIN`)
	session.Exec(`INSERT INTO rows VALUES (` + row + `)`)
	m.xid, m.before = session.Query1(`SELECT pg_current_xact_id()`), session.Query1(`SELECT pg_current_wal_insert_lsn()`)
	session.Exec(`COMMIT`)
	m.after = session.Query1(`SELECT pg_current_wal_insert_lsn()`)
	m.time = session.Query1(`SELECT to_char(pg_xact_commit_timestamp('` + m.xid +
		`') AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'`)
	m.rowsOf = rowsIn(c)
	session.Exec(`SELECT pg_create_restore_point('` + name + `')`)
	return m
}

// archives ends the segment and waits until it is in the repository.
func archives(c *pgtest.Cluster) {
	ended := c.SwitchWAL()
	c.Poll("the archiving of "+ended, func() bool {
		return c.Query1("SELECT coalesce(last_archived_wal >= '"+ended+"', false) FROM pg_stat_archiver") == "t"
	})
}

// newForked makes a history: rows 1 to 3, then 4 to 6 on timeline 1, and 40, 50 and 60 on timeline 2 instead. Backups
// are before row 1, before row 3 and before row 60.
func newForked(t *testing.T, install pgtest.Install) *forked {
	t.Helper()
	s := newSite(t, install, pgtest.Setting("track_commit_timestamp", "on"))
	s.sql(`CREATE TABLE rows (n int)`)
	s.full()
	commits(t, s.pg, "1", "one")
	commits(t, s.pg, "2", "two")
	s.incremental("auto")
	commits(t, s.pg, "3", "three")
	f := &forked{site: s, atEnd: [3]string{1: "1 2", 2: "1 2 3 40 50"}}
	standby := s.pg.NewStandby(t)
	standby.WaitReplayed(s.pg)
	standby.Stop(pgtest.Fast)
	commits(t, s.pg, "4", "first")
	f.second[1] = commits(t, s.pg, "5", "second")
	commits(t, s.pg, "6", "third")
	archives(s.pg)
	s.pg.Stop(pgtest.Immediate)
	standby.Start()
	standby.Promote()
	commits(t, standby, "40", "first")
	f.second[2] = commits(t, standby, "50", "second")
	f.site = s.at(standby)
	f.incremental("auto")
	commits(t, standby, "60", "third")
	archives(standby)
	standby.Stop(pgtest.Fast)
	return f
}

// aim is a recovery target: its kind, how its timeline is named and which one that is, and what the server does there.
type aim struct {
	kind      string
	exclusive bool
	timeline  string
	on        int
	action    string
}

func (a aim) String() string {
	return strings.ReplaceAll(fmt.Sprintf("%s exclusive=%v %s %s", a.kind, a.exclusive, a.timeline, a.action), " ", ",")
}

// aims gives all of them, or in CI of each kind one, other ones on other majors.
func aims(major int) (all []aim) {
	kinds := []aim{
		{kind: "time"},
		{kind: "time", exclusive: true},
		{kind: "lsn"},
		{kind: "lsn", exclusive: true},
		{kind: "xid"},
		{kind: "xid", exclusive: true},
		{kind: "name"},
		{kind: "immediate"},
	}
	lines := []aim{
		{timeline: "current", on: 1}, {timeline: "latest", on: 2}, {timeline: "1", on: 1}, {timeline: "2", on: 2},
	}
	actions := []string{"pause", "shutdown", "promote"}
	for i, kind := range kinds {
		for j, line := range lines {
			for k, action := range actions {
				if !wide() && ((i+j+major)%len(lines) != 0 || (i+k+major)%len(actions) != 0) {
					continue
				}
				a := kind
				a.timeline, a.on, a.action = line.timeline, line.on, action
				if a.kind == "immediate" && a.timeline == "current" {
					a.on = 2 // that of the newest backup
				}
				all = append(all, a)
			}
		}
	}
	return all
}

// flags gives the flags of restore for a target, and the rows that are there.
func (f *forked) flags(a aim) (flags []string, want string) {
	at := f.second[a.on]
	want = at.rowsOf
	switch a.kind {
	case "time":
		flags = []string{"--target-time", at.time}
	case "lsn":
		flags = []string{"--target-lsn", at.after}
		if a.exclusive {
			flags[1] = at.before
		}
	case "xid":
		flags = []string{"--target-xid", at.xid}
	case "name":
		flags = []string{"--target-name", at.name}
	case "immediate":
		flags, want = []string{"--target", "immediate"}, f.atEnd[a.on]
	}
	if a.exclusive {
		flags, want = append(flags, "--target-exclusive"), at.rowsThen
	}
	return append(flags, "--target-timeline", a.timeline, "--target-action", a.action), want
}

// Every kind of target, on each of two timelines, with each thing that the server may do there: it stops with the rows
// that were committed until then, and when it is let go on from there, it does so with them.
func TestTargetsOnTwoTimelines(t *testing.T) {
	t.Parallel()
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		f := newForked(t, install)
		if one, two := f.second[1], f.second[2]; one.xid != two.xid {
			t.Errorf("transaction %s on timeline 1 and %s on timeline 2, want the same", one.xid, two.xid)
		}
		for _, a := range aims(install.Major) {
			t.Run(a.String(), func(t *testing.T) {
				t.Parallel()
				flags, want := f.flags(a)
				s := f.in(t)
				got := s.reaches(s.restoreAny(flags...), a.action, want)
				got.WaitRecovered()
				got.Exec(`INSERT INTO rows VALUES (999)`)
				if rows := rowsIn(got); rows != want+" 999" {
					t.Errorf("rows %q after recovery, want %q", rows, want)
				}
				got.Stop(pgtest.Immediate)
			})
		}
	})
}

// restoreAny restores the backup that leads to a target.
func (s *site) restoreAny(flags ...string) (dir string) {
	s.t.Helper()
	dir = filepath.Join(pgtest.TempDir(s.t), "data")
	s.ok(append([]string{"restore", "-D", dir}, flags...)...)
	return dir
}

// reaches starts a restored server, lets it do at the target what it was told, and then go on.
func (s *site) reaches(dir, action, want string) *pgtest.Cluster {
	s.t.Helper()
	if action != "shutdown" {
		got := pgtest.FromDataDir(s.t, s.pg.Install, dir)
		if action == "pause" {
			got.Poll("the pause", func() bool { return got.Query1(`SELECT pg_is_wal_replay_paused()`) == "t" })
			if rows := rowsIn(got); rows != want {
				s.t.Errorf("rows %q at the pause, want %q", rows, want)
			}
			got.Exec(`SELECT pg_wal_replay_resume()`)
		}
		return got
	}
	got := pgtest.FromDataDir(s.t, s.pg.Install, dir, pgtest.NotStarted())
	if err := got.TryStart(); err == nil { // before it stops, it may take connections for a moment
		got.WaitStopped()
	}
	if log := got.Log(); !strings.Contains(log, "shutdown at recovery target") {
		s.t.Fatalf("the server did not stop at the target:\n%s", log)
	}
	if state := got.Tool("pg_controldata", dir); !strings.Contains(state, "shut down in recovery") {
		s.t.Errorf("after the stop at the target:\n%s", state)
	}
	auto, err := os.OpenFile(filepath.Join(dir, "postgresql.auto.conf"), os.O_WRONLY|os.O_APPEND, 0)
	s.must(err)
	_, err = auto.WriteString("recovery_target_action = 'promote'\n")
	s.must(errors.Join(err, auto.Close()))
	got.Start()
	return got
}

func rowsIn(c *pgtest.Cluster) string {
	return c.Query1(`SELECT string_agg(n::text, ' ' ORDER BY n) FROM rows`)
}
