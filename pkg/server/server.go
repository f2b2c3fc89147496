package server

import (
	"context"
	"time"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Config says how to connect: libpq's settings; empty ones come from PG*
// variables, the service file and ~/.pgpass, as with psql.
type Config struct {
	ConnString       string // -d: a database name, URI or keyword string
	Host, Port, User string
	Environ          []string // PG* variables; nil: none
}

// Info is what a server says of itself.
type Info struct {
	Version          int // server_version_num
	SystemIdentifier uint64
	DataDirectory    string
	Port             int
	InRecovery       bool
	PostmasterStart  time.Time
	WALLevel         string
	FullPageWrites   bool
	WALLogHints      bool
	DataChecksums    bool
	ArchiveMode      string
	ArchiveCommand   string
	SummarizeWAL     bool
	User             string
	Superuser        bool
}

// Major gives 13 to 18.
func (i Info) Major() int { return i.Version / 10000 }

// Server is one session with a server. Not safe for concurrent use.
type Server struct{ _ int }

// Connect opens a session and asks for Info. Errors name the server and the cause: not reachable, version not
// supported, missing rights, wal_level too low.
func Connect(ctx context.Context, cfg Config) (*Server, error) { panic("stub") }

// Info is what the server said when the session began.
func (s *Server) Info() Info { panic("stub") }

// Close ends the session; a backup that is running is aborted by the server.
func (s *Server) Close(ctx context.Context) error { panic("stub") }

// HoldWAL keeps the server from removing WAL until the session ends (a temporary physical slot). ok=false with a
// reason when the role or the settings do not allow it.
func (s *Server) HoldWAL(ctx context.Context) (ok bool, reason string) { panic("stub") }

// StartBackup puts the server in backup mode (non-exclusive) and gives the
// start position: the redo position of its checkpoint.
func (s *Server) StartBackup(ctx context.Context, label string, fast bool) (pg.LSN, error) {
	panic("stub")
}

// Stopped is what the server hands out at the end of a backup.
type Stopped struct {
	StopLSN       pg.LSN
	Label         []byte // backup_label, verbatim
	TablespaceMap []byte // tablespace_map, verbatim; empty: none
}

// StopBackup ends backup mode. It does not wait for archiving; notices and warnings of the server come along.
func (s *Server) StopBackup(ctx context.Context) (Stopped, []string, error) { panic("stub") }

// AbortBackup ends backup mode, if it is on, after a failure; ctx may be cancelled already.
func (s *Server) AbortBackup(ctx context.Context) error { panic("stub") }

// FlushLSN gives the position up to which WAL is safely on disk: on a primary what is flushed, on a standby what is
// received or replayed.
func (s *Server) FlushLSN(ctx context.Context) (pg.LSN, error) { panic("stub") }

// LastArchived gives pg_stat_archiver's newest archived file and failure counters.
func (s *Server) LastArchived(ctx context.Context) (name string, failed int64, err error) {
	panic("stub")
}

// SummarizedLSN gives how far the server's WAL summarizer has come (17+).
func (s *Server) SummarizedLSN(ctx context.Context) (pg.TimelineID, pg.LSN, error) { panic("stub") }
