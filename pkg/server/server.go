package server

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Server is one session with a server. Its methods may be called from any
// goroutine; statements run one after the other.
type Server struct {
	label string
	info  Info

	mu      sync.Mutex // guards what follows
	conn    *pgx.Conn
	notices []string // warnings and notices since they were last taken
	backup  bool     // backup mode may be on
	slot    bool     // a temporary slot holds WAL
}

// sessionSettings make a session predictable, whatever ALTER ROLE or PGOPTIONS say. SQL_ASCII means that
// the server converts nothing: backup_label and tablespace_map arrive byte by byte.
const sessionSettings = `SELECT pg_catalog.set_config(s.name, s.value, false)
FROM (VALUES ('search_path', 'pg_catalog, pg_temp'), ('client_encoding', 'SQL_ASCII'),
	('client_min_messages', 'notice'), ('statement_timeout', '0'), ('lock_timeout', '0'),
	('idle_in_transaction_session_timeout', '0'), ('idle_session_timeout', '0'),
	('transaction_timeout', '0'), ('DateStyle', 'ISO, MDY')) AS s(name, value)
JOIN pg_catalog.pg_settings g ON pg_catalog.lower(g.name) OPERATOR(pg_catalog.=) pg_catalog.lower(s.name)`

// Connect opens a session and asks for Info. Errors name the server and the
// cause: not reachable, version not supported, missing rights, wal_level too low.
func Connect(ctx context.Context, cfg Config) (_ *Server, err error) {
	cc, err := cfg.resolve()
	if err != nil {
		return nil, err
	}
	s, err := open(ctx, cc)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close(context.WithoutCancel(ctx)))
		}
	}()
	if err := s.loadInfo(ctx); err != nil {
		return nil, err
	}
	if s.info.WALLevel == "minimal" {
		return nil, &WALLevelError{Server: s.label, Level: s.info.WALLevel}
	}
	return s, nil
}

// open opens a session with a server of a supported version, of which nothing else is asked.
func open(ctx context.Context, cc *pgx.ConnConfig) (*Server, error) {
	s := &Server{label: label(cc)}
	cc.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { s.addNotice(n) }
	var err error
	if s.conn, err = pgx.ConnectConfig(ctx, cc); err != nil {
		return nil, connectError(ctx, cc, err)
	}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.Close(context.WithoutCancel(ctx)))
	}
	return s, nil
}

// Info is what the server said when the session began.
func (s *Server) Info() Info { return s.info }

// String names the server: its host or socket directory, and port.
func (s *Server) String() string { return s.label }

// closeGrace bounds how long Close waits for the server to end the session.
const closeGrace = 10 * time.Second

// Close ends the session; the server ends a backup that is running and drops the
// slot of HoldWAL. It waits until the server has done so. Closing again does nothing.
func (s *Server) Close(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.close(ctx)
}

func (s *Server) close(ctx context.Context) error {
	s.backup, s.slot = false, false
	if s.conn.IsClosed() {
		return nil
	}
	// pgx's own Close does not wait. The server closes its end after the
	// session's cleanup, so the end of the stream is the proof.
	h, err := s.conn.PgConn().Hijack()
	if err != nil {
		return s.conn.Close(ctx)
	}
	defer func() { _ = h.Conn.Close() }() // the session is over, or beyond help
	ctx, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { _ = h.Conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	h.Frontend.Send(&pgproto3.Terminate{})
	if err := h.Frontend.Flush(); err != nil {
		return nil // the other end is gone already: the session is over
	}
	_, err = io.Copy(io.Discard, h.Conn)
	if ctx.Err() != nil {
		return errors.Join(errors.New("server "+s.label+": does not end the session"), err)
	}
	return nil
}

// queryRow runs a statement that gives one row. doing names it in errors. s.mu is held.
func (s *Server) queryRow(ctx context.Context, doing, sql string, args []any, dest ...any) error {
	if s.conn.IsClosed() {
		return s.statementError(ctx, doing, ErrSessionLost)
	}
	return s.statementError(ctx, doing, s.conn.QueryRow(ctx, sql, args...).Scan(dest...))
}

// addNotice keeps what the server says beside a statement; it is called while one runs, under s.mu (or
// while connecting, when nobody else has s).
func (s *Server) addNotice(n *pgconn.Notice) {
	severity := n.SeverityUnlocalized
	if severity != "WARNING" && severity != "NOTICE" {
		return
	}
	text := n.Message
	if n.Detail != "" {
		text += ": " + n.Detail
	}
	s.notices = append(s.notices, text)
}

// takeNotices gives what came since the last call.
func (s *Server) takeNotices() []string {
	n := s.notices
	s.notices = nil
	return n
}
