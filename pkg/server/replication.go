package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Replication is one session of the replication protocol, for physical WAL. Not safe for concurrent use.
type Replication struct {
	label string
	cfg   Config
	conn  *pgconn.PgConn

	timeline pg.TimelineID // what is streamed, and from where
	from     pg.LSN
}

// Identity is what a server says of itself to who replicates it.
type Identity struct {
	SystemIdentifier uint64
	Timeline         pg.TimelineID
	Flushed          pg.LSN // end of its WAL that is durable
	Version          int    // as server_version_num says, without the minor number
	SegmentSize      uint32
}

// ConnectReplication opens a session that streams WAL. The role needs REPLICATION, and pg_hba.conf a line for
// the database replication; nothing else is asked of it.
func ConnectReplication(ctx context.Context, cfg Config) (*Replication, error) {
	cc, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	cc.RuntimeParams["replication"] = "true"
	// Waiting for a message ends at a deadline now and then; that must not cancel anything.
	cc.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.DeadlineContextWatcherHandler{Conn: c.Conn()}
	}
	conn, err := pgconn.ConnectConfig(ctx, &cc.Config)
	if err != nil {
		return nil, connectError(ctx, cc, err)
	}
	return &Replication{label: label(cc), cfg: cfg, conn: conn}, nil
}

// String names the server.
func (r *Replication) String() string { return r.label }

// Close ends the session.
func (r *Replication) Close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	_ = r.conn.Close(ctx) // the session is over, or beyond help
	return nil
}

// Identify asks for Identity.
func (r *Replication) Identify(ctx context.Context) (id Identity, err error) {
	row, err := r.row(ctx, "IDENTIFY_SYSTEM", "IDENTIFY_SYSTEM", 3)
	if err != nil {
		return id, err
	}
	if id.SystemIdentifier, err = strconv.ParseUint(row[0], 10, 64); err != nil {
		return id, fmt.Errorf("server %s: system identifier %q: %w", r.label, row[0], err)
	}
	tli, err := strconv.ParseUint(row[1], 10, 32)
	if err != nil {
		return id, fmt.Errorf("server %s: timeline %q: %w", r.label, row[1], err)
	}
	id.Timeline = pg.TimelineID(tli)
	if id.Flushed, err = parseLSN("IDENTIFY_SYSTEM", row[2]); err != nil {
		return id, err
	}
	if id.Version, err = r.version(); err != nil {
		return id, err
	}
	row, err = r.row(ctx, "SHOW wal_segment_size", "SHOW wal_segment_size", 1)
	if err != nil {
		return id, err
	}
	id.SegmentSize, err = parseSize(row[0])
	return id, err
}

// version reads the major version from the parameter that every session reports.
func (r *Replication) version() (int, error) {
	text := r.conn.ParameterStatus("server_version")
	digits := strings.IndexFunc(text, func(c rune) bool { return c < '0' || c > '9' })
	if digits < 0 {
		digits = len(text)
	}
	major, err := strconv.Atoi(text[:digits])
	if err != nil {
		return 0, fmt.Errorf("server %s: version %q: %w", r.label, text, err)
	}
	if major < OldestMajor || major > NewestMajor {
		return 0, &VersionError{Server: r.label, Version: major * 10000}
	}
	return major * 10000, nil
}

// parseSize reads a setting in bytes with one of the server's units.
func parseSize(s string) (uint32, error) {
	for unit, factor := range map[string]uint64{"kB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30} {
		if number, ok := strings.CutSuffix(s, unit); ok {
			if n, err := strconv.ParseUint(number, 10, 20); err == nil && n*factor <= 1<<30 {
				return uint32(n * factor), nil
			}
		}
	}
	return 0, fmt.Errorf("wal_segment_size: %q is no size", s)
}

// CreateSlot makes a permanent physical slot that holds WAL from now on. One of this name that is there is no error.
func (r *Replication) CreateSlot(ctx context.Context, name string) (created bool, err error) {
	const duplicate = "42710" // duplicate_object
	_, err = r.row(ctx, "CREATE_REPLICATION_SLOT",
		"CREATE_REPLICATION_SLOT "+pgx.Identifier{name}.Sanitize()+" PHYSICAL RESERVE_WAL", 4)
	if hasCode(err, duplicate) {
		return false, nil
	}
	return err == nil, err
}

// SlotStart gives where the WAL begins that a slot holds; 0 when it holds none. A slot that is not there is
// a *SlotError.
func (r *Replication) SlotStart(ctx context.Context, name string) (pg.LSN, error) {
	const oldestThatTells = 150000
	version, err := r.version()
	if err != nil {
		return 0, err
	}
	if version < oldestThatTells {
		return r.slotStartBySQL(ctx, name)
	}
	row, err := r.row(ctx, "READ_REPLICATION_SLOT", "READ_REPLICATION_SLOT "+pgx.Identifier{name}.Sanitize(), 3)
	switch {
	case err != nil:
		return 0, err
	case row[0] == "":
		return 0, &SlotError{Server: r.label, Slot: name, Missing: true}
	case row[1] == "":
		return 0, nil
	}
	return parseLSN("READ_REPLICATION_SLOT", row[1])
}

// slotStartBySQL asks in a session of its own what the replication protocol cannot tell before 15.
func (r *Replication) slotStartBySQL(ctx context.Context, name string) (_ pg.LSN, err error) {
	cc, err := r.cfg.resolve()
	if err != nil {
		return 0, err
	}
	s, err := open(ctx, cc)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.Close(context.WithoutCancel(ctx))) }()
	s.mu.Lock()
	defer s.mu.Unlock()
	var lsn *string
	err = s.queryRow(ctx, "pg_replication_slots",
		"SELECT max(restart_lsn)::text FROM pg_replication_slots WHERE slot_name = $1", []any{name}, &lsn)
	if err != nil || lsn == nil {
		return 0, err
	}
	return parseLSN("pg_replication_slots", *lsn)
}

// History gives the history file of a timeline.
func (r *Replication) History(ctx context.Context, tli pg.TimelineID) ([]byte, error) {
	row, err := r.row(ctx, "TIMELINE_HISTORY", fmt.Sprintf("TIMELINE_HISTORY %d", tli), 2)
	if err != nil {
		return nil, err
	}
	return []byte(row[1]), nil
}

// row runs a command that gives one row of at least n columns. NULL is "".
func (r *Replication) row(ctx context.Context, doing, sql string, n int) ([]string, error) {
	results, err := r.conn.Exec(ctx, sql).ReadAll()
	if err != nil {
		return nil, r.commandError(ctx, doing, err)
	}
	if len(results) != 1 || len(results[0].Rows) != 1 || len(results[0].Rows[0]) < n {
		return nil, fmt.Errorf("server %s: %s: unexpected answer", r.label, doing)
	}
	row := make([]string, len(results[0].Rows[0]))
	for i, v := range results[0].Rows[0] {
		row[i] = string(v)
	}
	return row, nil
}

// SlotError says that a slot cannot be used.
type SlotError struct {
	Server, Slot string
	Missing      bool // else somebody uses it
}

func (e *SlotError) Error() string {
	if e.Missing {
		return fmt.Sprintf("server %s: no replication slot %q", e.Server, e.Slot)
	}
	return fmt.Sprintf("server %s: replication slot %q is in use", e.Server, e.Slot)
}

// StartError says that the server cannot stream from a position.
type StartError struct {
	Server   string
	Timeline pg.TimelineID
	At       pg.LSN
	Removed  bool // its WAL is gone; else the position is on none of its timelines, or ahead of it
	Err      error
}

func (e *StartError) Error() string {
	return fmt.Sprintf("server %s: WAL from %s of timeline %d: %v", e.Server, e.At, e.Timeline, e.Err)
}

func (e *StartError) Unwrap() error { return e.Err }

// commandError tells why a command of the replication protocol failed.
func (r *Replication) commandError(ctx context.Context, doing string, err error) error {
	var pgErr *pgconn.PgError
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("server %s: %s: %w", r.label, doing, context.Cause(ctx))
	case errors.As(err, &pgErr) && !r.conn.IsClosed():
		return fmt.Errorf("server %s: %w", r.label, &QueryError{
			Doing: doing, Code: pgErr.Code, Message: pgErr.Message, Detail: pgErr.Detail, Hint: pgErr.Hint,
		})
	case pgErr != nil:
		return fmt.Errorf("server %s: %s: %w: %s", r.label, doing, ErrSessionLost, pgErr.Message)
	}
	return fmt.Errorf("server %s: %s: %w: %w", r.label, doing, ErrSessionLost, err)
}
