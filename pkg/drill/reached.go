package drill

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/repo"
)

// client runs programs that connect to the server.
type client struct {
	o    *Options
	s    *scratch
	role string
}

// newClient finds a role to connect as: who may log in and is a superuser.
func newClient(ctx context.Context, s *scratch, o *Options) (*client, error) {
	candidates := []string{o.Role}
	if o.Role == "" {
		candidates = []string{"postgres"}
		if u, err := user.Current(); err == nil && u.Username != "postgres" {
			candidates = append(candidates, u.Username)
		}
	}
	var errs []error
	for _, role := range candidates {
		c := &client{o: o, s: s, role: role}
		found, err := c.query(ctx, "SELECT rolname FROM pg_roles WHERE rolsuper AND rolcanlogin ORDER BY rolname = "+
			"current_user DESC, oid LIMIT 1")
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err == nil && found == "" {
			err = errors.New("no superuser may log in")
		}
		if err == nil {
			c.role = found
			return c, nil
		}
		errs = append(errs, err)
	}
	return nil, &RoleError{Roles: candidates, Err: errors.Join(errs...)}
}

// RoleError: there is no role to connect to the recovered server as.
type RoleError struct {
	Roles []string
	Err   error
}

func (e *RoleError) Error() string {
	return fmt.Sprintf("recovered server: no connection as %s: %v", strings.Join(e.Roles, " or "), e.Err)
}

func (e *RoleError) Unwrap() error { return e.Err }

// query runs one statement and gives what psql prints.
func (c *client) query(ctx context.Context, sql string) (string, error) {
	for _, database := range []string{"postgres", "template1"} {
		cmd := c.command(ctx, database, "psql", "-XAtqw", "-F", " ", "-c", sql)
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		switch {
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case err == nil:
			return strings.TrimSpace(stdout.String()), nil
		case !strings.Contains(stderr.String(), `database "postgres"`):
			return "", fmt.Errorf("psql: %w: %s", err, firstLines(stderr.String(), 3))
		}
	}
	return "", errors.New("psql: there is neither database postgres nor template1")
}

// killTime is how long a program may take to end when it is told to.
const killTime = 10 * time.Second

// command prepares a program that connects to the server. What roles and databases have set that is
// of no use here, or needs libraries, does not count.
func (c *client) command(ctx context.Context, database, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.o.program(name), args...) //nolint:gosec // the program is the caller's choice
	cmd.Env = append(c.o.Environment[:len(c.o.Environment):len(c.o.Environment)],
		"PGHOST="+c.s.socketDir(), "PGPORT="+port, "PGUSER="+c.role, "PGDATABASE="+database, "PGAPPNAME=pgincr drill",
		"PGOPTIONS=-c session_preload_libraries= -c local_preload_libraries= -c statement_timeout=0")
	cmd.Dir = c.s.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = killTime
	return cmd
}

// reached asks the server how far recovery came. These functions keep their answers after the promotion.
func (c *client) reached(ctx context.Context) (version string, r *repo.Reached, err error) {
	row, err := c.query(ctx, `SELECT pg_last_wal_replay_lsn(), left(pg_walfile_name(pg_current_wal_lsn()), 8),
		coalesce(to_char(pg_last_xact_replay_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '-'),
		current_setting('server_version')`)
	if err != nil {
		return "", nil, err
	}
	cells := strings.SplitN(row, " ", 4)
	if len(cells) != 4 {
		return "", nil, fmt.Errorf("recovered server: it says %q", row)
	}
	r = new(repo.Reached)
	if r.LSN, err = pg.ParseLSN(cells[0]); err != nil {
		return "", nil, fmt.Errorf("recovered server: position: %w", err)
	}
	tli, err := strconv.ParseUint(cells[1], 16, 32)
	if err != nil {
		return "", nil, fmt.Errorf("recovered server: timeline: %w", err)
	}
	if r.Timeline, err = c.s.parent(pg.TimelineID(tli), r.LSN); err != nil {
		return "", nil, err
	}
	if cells[2] != "-" {
		at, err := time.Parse(time.RFC3339, cells[2])
		if err != nil {
			return "", nil, fmt.Errorf("recovered server: time of the last transaction: %w", err)
		}
		r.Time = &at
	}
	return cells[3], r, nil
}

// parent gives the timeline that a position is on, where the server is on tli: it begins one of its own by
// the promotion.
func (s *scratch) parent(tli pg.TimelineID, lsn pg.LSN) (pg.TimelineID, error) {
	b, err := os.ReadFile(filepath.Join(s.data(), "pg_wal", pg.HistoryFileName(tli)))
	if errors.Is(err, fs.ErrNotExist) {
		return tli, nil
	}
	if err != nil {
		return 0, err
	}
	h, err := pg.ParseHistory(tli, b)
	if err != nil {
		return 0, err
	}
	return h.TimelineAt(lsn - 1), nil
}

// firstLines gives the beginning of a text in one line.
func firstLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	rest := ""
	if len(lines) > n {
		rest = fmt.Sprintf(" / … %d more", len(lines)-n)
		lines = lines[:n]
	}
	for i := range lines {
		lines[i] = strings.TrimSpace(lines[i])
	}
	return strings.Join(lines, " / ") + rest
}
