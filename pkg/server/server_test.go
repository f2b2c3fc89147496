package server_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgincr/pgincr/internal/pgtest"
	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/server"
)

// connect opens a session that ends with the test.
func connect(t *testing.T, cfg server.Config) *server.Server {
	t.Helper()
	s, err := server.Connect(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func config(c *pgtest.Cluster) server.Config { return server.Config{ConnString: c.DSN("postgres")} }

func lsnOf(t *testing.T, c *pgtest.Cluster, function string) pg.LSN {
	t.Helper()
	lsn, err := pg.ParseLSN(c.Query1("SELECT " + function + "()::text"))
	if err != nil {
		t.Fatal(err)
	}
	return lsn
}

// historyFiles counts what a regular stop leaves in pg_wal.
func historyFiles(c *pgtest.Cluster) string {
	return c.Query1(`SELECT count(*)::text FROM pg_ls_waldir() WHERE name LIKE '%.backup'`)
}

// Info is what the server itself says.
func TestInfo(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t, pgtest.Setting("archive_mode", "on"), pgtest.Setting("archive_command", "true"))
		i := connect(t, config(c)).Info()
		if i.Major() != install.Major || i.DataDirectory != c.DataDir || i.Port != c.Port || i.InRecovery {
			t.Errorf("info %+v", i)
		}
		if !i.Superuser || i.User != "postgres" || i.Database != "postgres" {
			t.Errorf("role of info %+v", i)
		}
		if i.ArchiveMode != "on" || i.ArchiveCommand != "true" || !i.Archives() {
			t.Errorf("archiving of info %+v", i)
		}
		if !i.DataChecksums || !i.FullPageWrites || i.WALLogHints || i.SummarizeWAL || i.WALLevel != "replica" {
			t.Errorf("settings of info %+v", i)
		}
		if age := time.Since(i.PostmasterStart); age < 0 || age > 10*time.Minute {
			t.Errorf("postmaster started %v ago", age)
		}
		if i.Geometry != pg.DefaultGeometry() {
			t.Errorf("geometry %+v", i.Geometry)
		}
		out := c.Tool("pg_controldata", c.DataDir)
		for line := range strings.Lines(out) {
			if v, ok := strings.CutPrefix(line, "Database system identifier:"); ok {
				if want := strings.TrimSpace(v); want != strconv.FormatUint(i.SystemIdentifier, 10) {
					t.Errorf("system identifier %d, pg_controldata says %s", i.SystemIdentifier, want)
				}
			}
		}
	})
}

// A backup's start position and label are the server's, byte for byte, and the stop
// position comes after the start; notices come along.
func TestBackup(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t)
		spc := c.NewTablespace("side")
		s := connect(t, config(c))
		start, err := s.StartBackup(t.Context(), "a backup's label", true)
		if err != nil {
			t.Fatal(err)
		}
		c.Exec("CREATE TABLE t AS SELECT generate_series(1, 1000)")
		stopped, _, err := s.StopBackup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		label, err := pg.ParseBackupLabel(stopped.Label)
		if err != nil {
			t.Fatal(err)
		}
		if label.Start != start || label.Label != "a backup's label" || label.From != "primary" {
			t.Errorf("start %v, label %+v", start, label)
		}
		if stopped.StopLSN <= start {
			t.Errorf("stop %v is not after start %v", stopped.StopLSN, start)
		}
		links, err := pg.ParseTablespaceMap(stopped.TablespaceMap)
		if err != nil || len(links) != 1 || links[0].Path != spc {
			t.Errorf("tablespace map %q: %v, %v", stopped.TablespaceMap, links, err)
		}
		flushed, err := s.FlushLSN(t.Context())
		if err != nil || flushed < stopped.StopLSN {
			t.Errorf("flushed %v, stop %v, %v", flushed, stopped.StopLSN, err)
		}
		// The session takes another one.
		if _, err := s.StartBackup(t.Context(), "again", true); err != nil {
			t.Fatal(err)
		}
		if _, err := s.StartBackup(t.Context(), "twice", true); err == nil {
			t.Error("two backups in one session")
		}
		if _, _, err := s.StopBackup(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, _, err := s.StopBackup(t.Context()); err == nil {
			t.Error("stopped a backup that is not running")
		}
	})
}

// A standby is told apart, and a backup from it works.
func TestStandby(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		primary := install.New(t)
		standby := primary.NewStandby(t)
		s := connect(t, config(standby))
		if !s.Info().InRecovery {
			t.Fatal("the standby passes for a primary")
		}
		if ok, reason := s.HoldWAL(t.Context()); !ok {
			t.Errorf("WAL not held: %s", reason)
		}
		start, err := s.StartBackup(t.Context(), "from standby", true)
		if err != nil {
			t.Fatal(err)
		}
		primary.Exec("CREATE TABLE t AS SELECT generate_series(1, 1000)")
		standby.WaitReplayed(primary)
		flushed, err := s.FlushLSN(t.Context())
		if err != nil || flushed < lsnOf(t, standby, "pg_last_wal_replay_lsn") {
			t.Errorf("flushed %v, %v", flushed, err)
		}
		stopped, _, err := s.StopBackup(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		label, err := pg.ParseBackupLabel(stopped.Label)
		if err != nil || label.From != "standby" || label.Start != start {
			t.Errorf("label %+v, %v", label, err)
		}
		if _, err := s.StartBackup(t.Context(), "promoted", true); err != nil {
			t.Fatal(err)
		}
		standby.Promote()
		_, _, err = s.StopBackup(t.Context())
		var promoted *server.PromotedError
		if !errors.As(err, &promoted) {
			t.Errorf("stop after promotion: %v", err)
		}
		if err := s.AbortBackup(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// A slot of HoldWAL is there until the session ends, not longer.
func TestHoldWAL(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t)
		s := connect(t, config(c))
		const slots = `SELECT count(*)::text FROM pg_replication_slots
			WHERE temporary AND active AND restart_lsn IS NOT NULL`
		for range 2 { // the second call changes nothing
			if ok, reason := s.HoldWAL(t.Context()); !ok {
				t.Fatal(reason)
			}
			if n := c.Query1(slots); n != "1" {
				t.Fatalf("%s slots", n)
			}
		}
		if err := s.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := c.Query1(slots); n != "0" {
			t.Errorf("%s slots after the session's end", n)
		}
	})
}

// Without slots HoldWAL says so and the session stays usable.
func TestHoldWALRefused(t *testing.T) {
	c := pgtest.Newest(t).New(t, pgtest.Setting("max_replication_slots", "0"))
	s := connect(t, config(c))
	ok, reason := s.HoldWAL(t.Context())
	if ok || !strings.Contains(reason, "max_replication_slots") {
		t.Errorf("held %v: %q", ok, reason)
	}
	if _, err := s.FlushLSN(t.Context()); err != nil {
		t.Error(err)
	}
}

// AbortBackup ends backup mode though the context is cancelled, at once and without the
// history file of a regular stop; without a backup it does nothing.
func TestAbort(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t)
		s := connect(t, config(c))
		if err := s.AbortBackup(t.Context()); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FlushLSN(t.Context()); err != nil {
			t.Fatalf("after an abort of nothing: %v", err)
		}
		if _, err := s.StartBackup(t.Context(), "to be aborted", true); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := s.StopBackup(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("stop with a cancelled context: %v", err)
		}
		if err := s.AbortBackup(ctx); err != nil {
			t.Fatal(err)
		}
		if n := c.Query1("SELECT count(*)::text FROM pg_stat_activity WHERE application_name = 'pgincr'"); n != "0" {
			t.Errorf("%s sessions after the abort", n)
		}
		if n := historyFiles(c); n != "0" {
			t.Errorf("%s backup history files after the abort", n)
		}
		if !strings.Contains(c.Log(), "aborting backup due to backend exiting") {
			t.Error("the server did not end backup mode")
		}
		if _, err := s.FlushLSN(t.Context()); !errors.Is(err, server.ErrSessionLost) {
			t.Errorf("the session after the abort: %v", err)
		}
	})
}

// A start that waits for a spread checkpoint is given up when the context is
// cancelled, and backup mode is not on afterwards.
func TestCancelledStart(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t, pgtest.Setting("checkpoint_completion_target", "0.9"),
			pgtest.Setting("checkpoint_timeout", "1h"))
		c.Exec("CREATE TABLE t AS SELECT generate_series(1, 100000) AS i")
		s := connect(t, config(c))
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error, 1)
		go func() {
			_, err := s.StartBackup(ctx, "slow", false)
			done <- err
		}()
		c.Poll("checkpoint to be waited for", func() bool {
			return c.Query1(`SELECT count(*)::text FROM pg_stat_activity
				WHERE application_name = 'pgincr' AND wait_event LIKE 'Checkpoint%'`) == "1"
		})
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled start: %v", err)
		}
		if err := s.AbortBackup(ctx); err != nil {
			t.Error(err)
		}
	})
}

// Session settings of the role cannot end or bend the session.
func TestRoleSettings(t *testing.T) {
	c := pgtest.Newest(t).New(t)
	c.Exec(`CREATE ROLE b LOGIN SUPERUSER; ALTER ROLE b SET statement_timeout = '1s';
		ALTER ROLE b SET search_path = evil; ALTER ROLE b SET client_min_messages = error;
		CREATE SCHEMA evil; CREATE FUNCTION evil.pg_is_in_recovery() RETURNS bool LANGUAGE sql RETURN true;
		CREATE FUNCTION evil.lower(name) RETURNS text LANGUAGE sql RETURN 'x';
		CREATE TABLE t AS SELECT generate_series(1, 100000)`)
	s := connect(t, server.Config{Host: c.SocketDir, User: "b"})
	if s.Info().InRecovery {
		t.Error("a function of the role's search_path was called")
	}
	const setting = `SELECT count(*)::text FROM pg_stat_activity
		WHERE application_name = 'pgincr' AND wait_event LIKE 'Checkpoint%' AND query_start < now() - '2s'::interval`
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := s.StartBackup(ctx, "x", false)
		done <- err
	}()
	c.Poll("a statement that outlives the role's statement_timeout", func() bool { return c.Query1(setting) == "1" })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("start: %v", err)
	}
}

// WAL summaries: the server's position is given where there is one.
func TestSummarizedLSN(t *testing.T) {
	pgtest.ForEach(t, func(t *testing.T, install pgtest.Install) {
		if install.Major < 17 {
			_, _, err := connect(t, config(install.New(t))).SummarizedLSN(t.Context())
			if err == nil {
				t.Error("summaries of a server that has none")
			}
			return
		}
		c := install.New(t, pgtest.Setting("summarize_wal", "on"))
		s := connect(t, config(c))
		if !s.Info().SummarizeWAL {
			t.Error("summarize_wal is not seen")
		}
		c.Exec("CREATE TABLE t AS SELECT generate_series(1, 10)")
		c.Checkpoint()
		c.Poll("a summary", func() bool {
			tli, lsn, err := s.SummarizedLSN(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return tli == 1 && lsn > 0
		})
	})
}

// The archiver's state is given.
func TestLastArchived(t *testing.T) {
	c := pgtest.Newest(t).New(t, pgtest.Setting("archive_mode", "on"), pgtest.Setting("archive_command", "true"))
	s := connect(t, config(c))
	segment := c.SwitchWAL()
	c.Poll("archived "+segment, func() bool {
		name, _, err := s.LastArchived(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return name == segment
	})
	c.AppendConf("archive_command = 'false'")
	c.Reload()
	c.SwitchWAL()
	c.Poll("failures", func() bool {
		_, failed, err := s.LastArchived(t.Context())
		return err == nil && failed > 0
	})
}

// The first file that was archived is known at once, also where statistics come late.
func TestFirstArchived(t *testing.T) {
	pgtest.ForEnds(t, func(t *testing.T, install pgtest.Install) {
		c := install.New(t, pgtest.Setting("archive_mode", "on"), pgtest.Setting("archive_command", "true"))
		s := connect(t, config(c))
		// The statistics that others look at are read no later than here.
		if _, err := s.Archiver(t.Context()); err != nil {
			t.Fatal(err)
		}
		segment := c.SwitchWAL()
		done := filepath.Join(c.DataDir, "pg_wal", "archive_status", segment+".done")
		c.Poll("archived "+segment, func() bool {
			_, err := os.Stat(done)
			return err == nil
		})
		if install.Major >= 15 {
			time.Sleep(100 * time.Millisecond) // the statistics follow the name
		}
		if name, _, err := s.LastArchived(t.Context()); err != nil || name != segment {
			t.Errorf("archived %q, want %s: %v", name, segment, err)
		}
	})
}

// A session that the server ended is told apart from a refusal.
func TestSessionLost(t *testing.T) {
	c := pgtest.Newest(t).New(t)
	s := connect(t, config(c))
	if _, err := s.StartBackup(t.Context(), "x", true); err != nil {
		t.Fatal(err)
	}
	if err := s.Alive(t.Context()); err != nil {
		t.Error(err)
	}
	c.Exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgincr'")
	if err := s.Alive(t.Context()); !errors.Is(err, server.ErrSessionLost) {
		t.Errorf("a lost session: %v", err)
	}
	if _, _, err := s.StopBackup(t.Context()); !errors.Is(err, server.ErrSessionLost) {
		t.Errorf("stop: %v", err)
	}
	if err := s.AbortBackup(t.Context()); err != nil {
		t.Errorf("abort: %v", err)
	}
}

// Names of the application that users chose stay theirs.
func TestApplicationName(t *testing.T) {
	c := pgtest.Newest(t).New(t)
	const names = `SELECT string_agg(application_name, ',' ORDER BY application_name) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()`
	connect(t, config(c))
	cfg := config(c)
	cfg.ConnString += " application_name=nightly"
	connect(t, cfg)
	if diff := cmp.Diff("nightly,pgincr", c.Query1(names)); diff != "" {
		t.Error(diff)
	}
}
