package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ConnectCause is why no session came about.
type ConnectCause int

// The causes.
const (
	Unreachable    ConnectCause = iota // nobody answers there
	Authentication                     // the server does not let this user in
	Starting                           // the server starts, stops or recovers and takes no sessions yet
	Refused                            // the server has another reason: no such database, too many sessions
	BadSettings                        // the connection string or what it refers to is wrong
)

// ConnectError says that there is no session.
type ConnectError struct {
	Server   string // host or socket directory, and port
	User     string
	Database string
	Cause    ConnectCause
	Err      error
}

func (e *ConnectError) Error() string {
	switch e.Cause {
	case BadSettings:
		return fmt.Sprintf("connection settings: %v", e.Err)
	case Authentication:
		return fmt.Sprintf("server %s: user %q: %v", e.Server, e.User, e.Err)
	default:
		return fmt.Sprintf("server %s: %v", e.Server, e.Err)
	}
}

func (e *ConnectError) Unwrap() error { return e.Err }

// VersionError says that this server's major version is not among the supported ones.
type VersionError struct {
	Server  string
	Version int // server_version_num
}

// The supported majors.
const (
	OldestMajor = 13
	NewestMajor = 18
)

func (e *VersionError) Error() string {
	return fmt.Sprintf("server %s: PostgreSQL %d is not supported, only %d to %d",
		e.Server, e.Version/10000, OldestMajor, NewestMajor)
}

// WALLevelError says that the server writes too little WAL for a backup.
type WALLevelError struct {
	Server string
	Level  string
}

func (e *WALLevelError) Error() string {
	return fmt.Sprintf("server %s: wal_level is %s, a backup needs replica or logical", e.Server, e.Level)
}

// PrivilegeError says which right a role lacks.
type PrivilegeError struct {
	Server   string
	Role     string
	Right    string // "EXECUTE on function …"
	Grant    string // the statement that gives it
	Database string // where the statement must be run; "": anywhere
}

func (e *PrivilegeError) Error() string {
	return fmt.Sprintf("server %s: role %q lacks %s", e.Server, e.Role, e.Right)
}

// PromotedError says that the standby became a primary while it was backed up.
type PromotedError struct{ Server string }

func (e *PromotedError) Error() string {
	return fmt.Sprintf("server %s: the standby was promoted during the backup", e.Server)
}

// QueryError is an error that the server reported for a statement.
type QueryError struct {
	Doing                 string // the function called
	Code                  string // SQLSTATE
	Message, Detail, Hint string // in the server's words and language
}

func (e *QueryError) Error() string {
	s := e.Doing + ": " + e.Message
	if e.Detail != "" {
		s += " (" + strings.TrimSuffix(e.Detail, ".") + ")"
	}
	return s
}

// ErrSessionLost: the session is gone, and with it backup mode and held WAL.
var ErrSessionLost = errors.New("session with the server was lost")

// SQLSTATE classes and codes that are told apart (errcodes.txt).
const (
	codeInsufficientPrivilege = "42501"
	codeNotInState            = "55000" // object_not_in_prerequisite_state
	codeCannotConnectNow      = "57P03"
	classInvalidAuthorization = "28"
)

// connectError tells why pgx has no session.
func connectError(ctx context.Context, cc *pgx.ConnConfig, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("server %s: %w", label(cc), context.Cause(ctx))
	}
	e := &ConnectError{Server: label(cc), User: cc.User, Database: cc.Database, Cause: Unreachable}
	var pgErr *pgconn.PgError
	var opErr *net.OpError
	var dnsErr *net.DNSError
	switch {
	case errors.As(err, &pgErr):
		e.Err = errors.New(pgErr.Message)
		e.Cause = Refused
		if strings.HasPrefix(pgErr.Code, classInvalidAuthorization) {
			e.Cause = Authentication
		} else if pgErr.Code == codeCannotConnectNow {
			e.Cause = Starting
		}
	case errors.As(err, &dnsErr):
		e.Err = dnsErr
	case errors.As(err, &opErr):
		e.Err = opErr.Err
		var sysErr *os.SyscallError
		if errors.As(opErr.Err, &sysErr) {
			e.Err = sysErr.Err
		}
	default:
		e.Err = err
		if inner := errors.Unwrap(err); inner != nil {
			e.Err = inner // without pgx's "failed to connect to"
		}
	}
	return e
}

// statementError tells why a statement failed: cancelled, refused by the server, or a session that is gone.
func (s *Server) statementError(ctx context.Context, doing string, err error) error {
	var pgErr *pgconn.PgError
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
	case errors.As(err, &pgErr) && !s.conn.IsClosed():
		return &QueryError{
			Doing: doing, Code: pgErr.Code,
			Message: pgErr.Message, Detail: pgErr.Detail, Hint: pgErr.Hint,
		}
	case pgErr != nil: // FATAL: terminated by an administrator, or a shutdown
		return fmt.Errorf("%s: %w: %s", doing, ErrSessionLost, pgErr.Message)
	case s.conn.IsClosed():
		return fmt.Errorf("%s: %w: %w", doing, ErrSessionLost, err)
	default:
		return fmt.Errorf("%s: %w", doing, err)
	}
}

// hasCode says whether the server reported an error of this SQLSTATE.
func hasCode(err error, code string) bool {
	var q *QueryError
	return errors.As(err, &q) && q.Code == code
}
