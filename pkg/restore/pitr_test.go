package restore_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
)

// stage is a committed row and the ways to name the moment after it.
type stage struct{ xid, lsn, time, name string }

// history is one cluster's life on two timelines: rows 1 to 3, then 31 on
// timeline 1 only, and 4 to 6 on timeline 2, which left timeline 1 after row 3.
type history struct {
	*world
	stages  map[int]stage
	backups map[int]*repo.Manifest // taken right before the row of this number
}

func (h *history) row(c *pgtest.Cluster, n int) {
	h.t.Helper()
	s := c.Connect("postgres")
	defer s.Close()
	var st stage
	s.Exec("BEGIN")
	s.Exec(fmt.Sprintf("INSERT INTO rows VALUES (%d)", n))
	st.xid = s.Query1("SELECT pg_current_xact_id()::text")
	s.Exec("COMMIT")
	st.lsn = s.Query1("SELECT pg_current_wal_insert_lsn()")
	s.Exec("SELECT pg_sleep(0.01)")
	st.time = s.Query1("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') || '+00'")
	s.Exec("SELECT pg_sleep(0.01)")
	st.name = fmt.Sprintf("after row %d", n)
	s.Exec("SELECT pg_create_restore_point('" + st.name + "')")
	h.stages[n] = st
}

func newHistory(t *testing.T, install pgtest.Install) *history {
	t.Helper()
	h := &history{world: newWorld(t, install), stages: map[int]stage{}, backups: map[int]*repo.Manifest{}}
	h.pg.Exec("CREATE TABLE rows (n int PRIMARY KEY)")
	h.backups[1] = h.backup(h.pg, false)
	h.row(h.pg, 1)
	h.row(h.pg, 2)
	h.backups[3] = h.backup(h.pg, true)
	h.row(h.pg, 3)
	standby := h.pg.NewStandby(t)
	standby.WaitReplayed(h.pg)
	standby.Stop(pgtest.Fast)
	h.row(h.pg, 31)
	h.switchWAL(h.pg)
	h.pg.Stop(pgtest.Immediate)
	standby.Start()
	standby.Promote()
	h.row(standby, 4)
	h.row(standby, 5)
	h.switchWAL(standby)
	h.backups[6] = h.backup(standby, true)
	h.row(standby, 6)
	standby.Exec("INSERT INTO rows VALUES (999)") // something that ends after every target
	h.switchWAL(standby)
	standby.Stop(pgtest.Fast)
	return h
}

// rowsAt restores to a target and gives the rows that are there.
func (h *history) rowsAt(t *testing.T, target restore.TargetOptions, backup int) string {
	t.Helper()
	m, err := restore.Choose(t.Context(), h.cluster, target)
	must(t, err)
	if want := h.backups[backup]; m.ID != want.ID {
		t.Errorf("restored from backup %s, want %s", m.ID, want.ID)
	}
	o := h.options()
	o.TargetOptions = target
	if target.String() != "end of WAL" {
		o.Action = "promote"
	}
	h.restore(m, o)
	c := pgtest.FromDataDir(t, h.pg.Install, o.Target)
	defer c.Stop(pgtest.Immediate)
	c.WaitRecovered()
	return c.Query1("SELECT coalesce(string_agg(n::text, ' ' ORDER BY n), '') FROM rows")
}

// Each kind of target leads to the state it names, on either timeline, from the newest backup that
// comes before it.
func TestTargets(t *testing.T) {
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		h := newHistory(t, install)
		s := h.stages
		for _, tc := range []struct {
			name   string
			target restore.TargetOptions
			backup int
			want   string
		}{
			{"end", restore.TargetOptions{}, 6, "1 2 3 4 5 6 999"},
			{"immediate", restore.TargetOptions{Immediate: true}, 6, "1 2 3 4 5"},
			{"lsn", restore.TargetOptions{LSN: s[1].lsn}, 1, "1"},
			{"lsn after a newer backup", restore.TargetOptions{LSN: s[3].lsn}, 3, "1 2 3"},
			{"lsn on the second timeline", restore.TargetOptions{LSN: s[4].lsn}, 3, "1 2 3 4"},
			{"xid", restore.TargetOptions{XID: s[2].xid}, 1, "1 2"},
			{"xid exclusive", restore.TargetOptions{XID: s[2].xid, Exclusive: true}, 1, "1"},
			{"time", restore.TargetOptions{Time: s[5].time}, 3, "1 2 3 4 5"},
			{"time after the newest backup", restore.TargetOptions{Time: s[6].time, Exclusive: true}, 6, "1 2 3 4 5 6"},
			{"name", restore.TargetOptions{Name: s[6].name}, 6, "1 2 3 4 5 6"},
			{"name before the newest backup", restore.TargetOptions{Name: s[4].name}, 3, "1 2 3 4"},
			{"other branch", restore.TargetOptions{Name: s[31].name, Timeline: "1"}, 3, "1 2 3 31"},
			{"other branch to its end", restore.TargetOptions{Timeline: "1"}, 3, "1 2 3 31"},
		} {
			t.Run(tc.name, func(t *testing.T) {
				if got := h.rowsAt(t, tc.target, tc.backup); got != tc.want {
					t.Errorf("rows %q, want %q", got, tc.want)
				}
			})
		}
	})
}

// A target that recovery would not come to is refused before anything is written, and what can be
// reached is told.
func TestUnreachableTargets(t *testing.T) {
	h := newHistory(t, pgtest.Newest(t))
	s := h.stages
	refused := func(name string, target restore.TargetOptions, m *repo.Manifest, want string) {
		t.Helper()
		var err error
		if m == nil {
			m, err = restore.Choose(t.Context(), h.cluster, target)
		}
		o := h.options()
		o.TargetOptions = target
		if err == nil {
			_, err = restore.Run(t.Context(), h.cluster, m, o)
		}
		var reach *restore.ReachError
		if !errors.As(err, &reach) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want a ReachError with %q", name, err, want)
		}
		if _, err := os.Stat(o.Target); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: something was written: %v", name, err)
		}
	}
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	refused("lsn beyond", restore.TargetOptions{LSN: "1/0"}, nil, "is not archived")
	refused("lsn before", restore.TargetOptions{LSN: "0/1000000"}, nil, "oldest backup")
	refused("lsn before the backup named", restore.TargetOptions{LSN: s[1].lsn}, h.backups[3], "consistent from")
	refused("time beyond", restore.TargetOptions{Time: tomorrow}, nil, "newest transaction")
	refused("time before", restore.TargetOptions{Time: "2001-01-01"}, nil, "oldest backup")
	refused("name", restore.TargetOptions{Name: "never made"}, nil, "comes behind no backup")
	refused("name before the backup named", restore.TargetOptions{Name: s[1].name}, h.backups[3], "does not come behind")
	refused("xid", restore.TargetOptions{XID: "4000000000"}, nil, "comes behind no backup")
	refused("name on the other branch", restore.TargetOptions{Name: s[31].name}, nil, "comes behind no backup")
	refused("timeline", restore.TargetOptions{Timeline: "7"}, nil, "not in the archive")
	refused("other branch from a backup of this one", restore.TargetOptions{Timeline: "1"}, h.backups[6],
		"did not live through")

	// A gap: the segment that begins timeline 2 is gone.
	gap := h.loseSegment(t)
	refused("beyond a gap", restore.TargetOptions{LSN: s[6].lsn}, h.backups[3], gap+" is missing")
	refused("end of WAL beyond a gap", restore.TargetOptions{}, h.backups[3], gap+" is missing")
	if got := h.rowsAt(t, restore.TargetOptions{LSN: s[2].lsn}, 1); got != "1 2" {
		t.Errorf("before the gap: rows %q", got)
	}
}

// loseSegment removes the archived segment before the newest backup's first and gives its name.
func (h *history) loseSegment(t *testing.T) string {
	t.Helper()
	g := h.backups[6].Geometry
	next := slices.DeleteFunc(slices.Clone(h.backups[6].WAL.Segments),
		func(s string) bool { return !pg.IsWALFileName(s) })[0]
	tli, n, err := g.ParseWALFileName(next)
	must(t, err)
	name := g.WALFileName(tli, n-1)
	found := 0
	must(t, filepath.WalkDir(h.repoDir, func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasPrefix(d.Name(), name) && strings.Contains(p, "/wal/") {
			found++
			return os.Remove(p)
		}
		return err
	}))
	if found == 0 {
		t.Fatalf("%s is not in the repository", name)
	}
	return name
}

// A standby set up from a backup streams from its primary.
func TestStandby(t *testing.T) {
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		w := newWorld(t, install)
		w.pg.Exec("CREATE TABLE t (id int PRIMARY KEY, s text)")
		fill(w.pg, 1, 1000)
		m := w.backup(w.pg, false)
		fill(w.pg, 2001, 3000)
		o := w.options()
		o.Standby, o.PrimaryConninfo = true, w.pg.DSN("postgres")
		w.restore(m, o)
		c := pgtest.FromDataDir(t, install, o.Target)
		c.WaitReplayed(w.pg)
		if got := c.Query1("SELECT count(*) FROM t"); got != "2000" {
			t.Errorf("%s: %s rows", install, got)
		}
		if c.Query1("SELECT pg_is_in_recovery()") != "t" {
			t.Errorf("%s: is no standby", install)
		}
		// What is backed up from it restores with what the backup carries.
		w.pg.Exec("CHECKPOINT")
		c.WaitReplayed(w.pg)
		last := w.backup(c, true)
		o = w.options()
		o.RestoreCommand = ""
		w.restore(last, o)
		if got := w.start(o).Query1("SELECT count(*) FROM t"); got != "2000" {
			t.Errorf("%s: %s rows in a restored backup of a standby", install, got)
		}
	})
}

// What an earlier recovery has left in the configuration decides nothing: neither a target that contradicts
// the new one, nor a signal file.
func TestStaleRecoverySettings(t *testing.T) {
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		w := newWorld(t, install)
		w.pg.Exec("CREATE TABLE rows (n int)")
		w.pg.AppendConf("recovery_target_time = '2001-01-01 00:00:00+00'")
		w.pg.Exec("ALTER SYSTEM SET recovery_target_action = 'shutdown'")
		must(t, os.WriteFile(filepath.Join(w.pg.DataDir, "standby.signal"), nil, 0o600))
		pgtest.Chown(t, w.pg.DataDir)
		m := w.backup(w.pg, false)
		w.pg.Exec("INSERT INTO rows VALUES (1)")
		w.pg.Exec("SELECT pg_create_restore_point('here')")
		w.switchWAL(w.pg)
		o := w.options()
		o.Name = "here"
		o.Action = "promote"
		w.restore(m, o)
		c := w.start(o)
		if got := c.Query1("SELECT count(*) FROM rows"); got != "1" {
			t.Errorf("%s: %s rows", install, got)
		}
	})
}
