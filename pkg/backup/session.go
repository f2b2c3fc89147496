package backup

import (
	"context"

	"github.com/pgincr/pgincr/pkg/pg"
	"github.com/pgincr/pgincr/pkg/server"
)

// Session is what a backup asks of a server; *server.Server is one. Its methods may be called
// from any goroutine: the copy and the WAL carrier share it, since backup mode
// belongs to the session that began it.
type Session interface {
	Info() server.Info
	HoldWAL(ctx context.Context) (ok bool, reason string)
	StartBackup(ctx context.Context, label string, fast bool) (pg.LSN, error)
	StopBackup(ctx context.Context) (server.Stopped, []string, error)
	AbortBackup(ctx context.Context) error
	FlushLSN(ctx context.Context) (pg.LSN, error)
	LastArchived(ctx context.Context) (name string, failed int64, err error)
	Alive(ctx context.Context) error
	Databases(ctx context.Context) ([]server.Database, error)
	ConfigFiles(ctx context.Context) ([]server.ConfigFile, error)
	ReadFile(ctx context.Context, path string, limit int64) ([]byte, error)
	ExtensionResourceManagers(ctx context.Context) ([]string, error)
	SummarizedLSN(ctx context.Context) (pg.TimelineID, pg.LSN, error)
}
