package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/pgincr/pgincr/pkg/pg"
)

// row is one command and what it asked.
type row struct {
	name string // for people
	count
}

// meter runs commands through the counter.
type meter struct {
	*site

	rows []row
}

// measure runs the commands, those that change nothing first.
func (s *site) measure(ctx context.Context) ([]row, error) {
	m := &meter{site: s}
	for _, stage := range []func(context.Context) error{m.look, m.wal, m.back, m.restored, m.removed} {
		if err := stage(ctx); err != nil {
			return nil, err
		}
	}
	return m.rows, nil
}

// run counts a command, which must end with an exit code.
func (m *meter) run(ctx context.Context, name string, code int, args ...string) (string, error) {
	cmd := m.command(ctx, append([]string{m.pgincr()}, args...)...)
	cmd.Env = append(cmd.Env, "PGINCR_REPO="+m.url(m.counter.addr))
	m.counter.take()
	out, err := finish(cmd)
	var exit *exec.ExitError
	if got := cmd.ProcessState.ExitCode(); got != code || err != nil && !errors.As(err, &exit) {
		return "", fmt.Errorf("%v: exit code %d, not %d: %w", args, got, code, err)
	}
	r := row{name, m.counter.take()}
	m.rows = append(m.rows, r)
	say("%s: %d requests %v, %d bytes up, %d down", name, r.total(), r.requests, r.sent, r.received)
	return out, nil
}

// ok counts a command that succeeds.
func (m *meter) ok(ctx context.Context, name string, args ...string) error {
	_, err := m.run(ctx, name, 0, args...)
	return err
}

// look is what changes nothing.
func (m *meter) look(ctx context.Context) error {
	return errors.Join(
		m.ok(ctx, "`list`", "list"),
		m.ok(ctx, "`list --windows`", "list", "--windows"),
		m.ok(ctx, "`check`", "check", "--max-backup-age", "0", "--max-drill-age", "0"),
		m.ok(ctx, "`verify --quick latest`", "verify", "--quick", "latest"),
		m.ok(ctx, "`verify --quick` of all", "verify", "--quick"),
		m.ok(ctx, "`verify latest`, all bytes", "verify", "latest"),
	)
}

// wal archives segments and gets one. Meanwhile the archiver itself stores none.
func (m *meter) wal(ctx context.Context) error {
	const waiting = 32
	one, err := m.segment(ctx)
	if err != nil {
		return err
	}
	if err := m.pass(ctx, 1, false); err != nil {
		return err
	}
	path := func(n pg.SegNo) string { return filepath.Join(m.pgdata(), "pg_wal", geometry().WALFileName(1, n)) }
	if err := errors.Join(
		m.ok(ctx, "`archive-push`", "archive-push", path(one)),
		m.ok(ctx, "`archive-push` of what is there", "archive-push", path(one)),
	); err != nil {
		return err
	}
	first, err := m.segment(ctx)
	if err != nil {
		return err
	}
	if err := m.archive(ctx, "false"); err != nil { // they pile up
		return err
	}
	if _, err := m.sql(ctx, fmt.Sprintf(`DO $$ BEGIN FOR k IN 1..%d LOOP
		UPDATE t SET n = n + 1 WHERE i = k; COMMIT; PERFORM pg_switch_wal(); END LOOP; END $$`, waiting)); err != nil {
		return err
	}
	if err := m.ok(ctx, fmt.Sprintf("`archive-push`, %d waiting", waiting), "archive-push", path(first)); err != nil {
		return err
	}
	if err := m.archive(ctx, ""); err != nil {
		return err
	}
	if err := m.pass(ctx, 1, true); err != nil {
		return err
	}
	to := filepath.Join(m.dir, "segment")
	if err := m.ok(ctx, "`archive-get`", "archive-get", geometry().WALFileName(1, one), to); err != nil {
		return err
	}
	_, err = m.run(ctx, "`archive-get` behind the end", 1, "archive-get", geometry().WALFileName(1, first+1000), to)
	return err
}

// archive sets another archive_command, or the one of the beginning again.
func (m *meter) archive(ctx context.Context, command string) error {
	set := "ALTER SYSTEM RESET archive_command"
	if command != "" {
		set = "ALTER SYSTEM SET archive_command = '" + command + "'"
	}
	if _, err := m.sql(ctx, set); err != nil {
		return err
	}
	_, err := m.sql(ctx, "SELECT pg_reload_conf()")
	return err
}

// back takes backups.
func (m *meter) back(ctx context.Context) error {
	parent, err := m.latest(ctx)
	if err != nil {
		return err
	}
	incremental := func(name string, source string) error {
		out, err := m.run(ctx, name, 0, "backup", "-D", m.pgdata(), "-c", "fast", "--json", "--incremental",
			"--page-map", source, "--parent", parent)
		if err != nil {
			return err
		}
		var b struct {
			Type    string                  `json:"type"`
			PageMap struct{ Source string } `json:"page_map"`
		}
		if err := json.Unmarshal([]byte(out), &b); err != nil {
			return err
		}
		if b.Type != "incremental" || b.PageMap.Source != source {
			return fmt.Errorf("a backup of type %s by %s", b.Type, b.PageMap.Source)
		}
		return nil
	}
	return errors.Join(
		incremental("`backup --incremental` by the pages' LSNs", "lsn"),
		incremental("`backup --incremental` by maps of a day's segments", "wal"),
		m.ok(ctx, "`pagemap build` of a day", "pagemap", "build"),
		incremental("`backup --incremental` by maps of runs", "wal"),
		m.ok(ctx, "`backup`, full", "backup", "-D", m.pgdata(), "-c", "fast"),
	)
}

// latest is the id of the newest backup.
func (m *meter) latest(ctx context.Context) (string, error) {
	ids, err := m.ids(ctx)
	if err != nil || len(ids) == 0 {
		return "", fmt.Errorf("no backups: %w", err)
	}
	return ids[len(ids)-1], nil
}

// ids of the backups, by time.
func (m *meter) ids(context.Context) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(m.entry(), "backups"))
	var ids []string
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	slices.Sort(ids)
	return ids, err
}

// restored restores, and plans it.
func (m *meter) restored(ctx context.Context) error {
	ids, err := m.ids(ctx)
	if err != nil {
		return err
	}
	last := slices.IndexFunc(ids, func(id string) bool { return id == ids[len(ids)-1] }) - 1 // an incremental
	if last < 0 || !strings.HasSuffix(ids[last], "-I") {
		return fmt.Errorf("%v: not the backups that were taken", ids)
	}
	dir := func(name string) string { return filepath.Join(m.dir, name) }
	return errors.Join(
		m.ok(ctx, "`restore --dry-run`", "restore", "--dry-run", "-D", dir("none")),
		m.ok(ctx, "`restore --dry-run` of an incremental", "restore", "--dry-run", "-D", dir("none"), ids[last]),
		m.ok(ctx, "`restore` of an incremental", "restore", "-D", dir("new"), ids[last]),
		m.ok(ctx, "`restore --delta` of it, nothing changed", "restore", "--delta", "-D", dir("new"), ids[last]),
		m.ok(ctx, "`compact`", "compact", ids[last]),
	)
}

// removed expires the oldest chain, a week.
func (m *meter) removed(ctx context.Context) error {
	ids, err := m.ids(ctx)
	if err != nil {
		return err
	}
	full := 0
	for _, id := range ids {
		if strings.HasSuffix(id, "-F") {
			full++
		}
	}
	keep := strconv.Itoa(full - 1)
	return errors.Join(
		m.ok(ctx, "`expire --dry-run`, a week goes", "expire", "--dry-run", "--keep-full", keep),
		m.ok(ctx, "`expire`, a week goes", "expire", "--keep-full", keep),
		m.ok(ctx, "`expire`, nothing goes", "expire", "--keep-full", keep),
	)
}
