package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"testing"

	"github.com/pgincr/pgincr/pkg/backup"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
	"github.com/pgincr/pgincr/pkg/server"
)

// The exit codes of docs/cli.md, however deep the reason lies; for archive-get
// nothing but the certain answer is below 126.
func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		want int
	}{
		{"nothing", nil, 0},
		{"anything", errors.New("x"), 1},
		{"not found", fs.ErrNotExist, 1},
		{"corrupt", repo.ErrCorrupt, 1},
		{"server", &server.ConnectError{Cause: server.Unreachable, Err: errors.New("x")}, 1},
		{"interrupted", context.Canceled, 1},
		{"interrupted while locked", errors.Join(context.Canceled, repo.ErrLocked), 1},
		{"internal", errInternal, 1},
		{"usage", &usageError{err: errors.New("x")}, 2},
		{"connection string", &server.ConnectError{Cause: server.BadSettings, Err: errors.New("x")}, 2},
		{"no such database", &restore.DatabaseError{Backup: "x", Name: "y", Known: []string{"z"}}, 2},
		{"restore option", &restore.OptionError{Option: "x", Reason: "y"}, 2},
		{"findings", findings("x"), 3},
		{"locked", repo.ErrLocked, 4},
		{"unreachable", repo.ErrUnreachable, 5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.err
			if err != nil {
				err = fmt.Errorf("outer: %w", err)
			}
			if got := exitCode(err, false); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
			want := exitArchiveError
			if err == nil {
				want = 0
			}
			if got := exitCode(err, true); got != want {
				t.Errorf("archive-get: got %d, want %d", got, want)
			}
		})
	}
	if got := exitCode(fmt.Errorf("x: %w", errNotArchived), true); got != 1 {
		t.Errorf("not in the archive: %d", got)
	}
}

// Where there is a remedy it is told, whatever the error is wrapped in.
func TestHints(t *testing.T) {
	for _, err := range []error{
		&usageError{err: errors.New("x"), command: "pgincr"},
		&missingClusterError{}, &missingBackupError{}, &missingPostgresError{},
		&archivedError{errors.New("x")},
		&server.ConnectError{Cause: server.Unreachable}, &server.ConnectError{Cause: server.Authentication},
		&server.ConnectError{Cause: server.Starting},
		&server.VersionError{Version: 190000}, &server.WALLevelError{},
		&server.PrivilegeError{Grant: "GRANT x"}, &server.PrivilegeError{Grant: "GRANT x", Database: "d"},
		&server.PromotedError{}, &server.QueryError{Hint: "x"},
		&repo.SystemIdentifierError{}, repo.ErrLocked, repo.ErrNewer, repo.ErrCorrupt, repo.ErrUnreachable,
		syscall.ENOSPC, fs.ErrPermission,
		&backup.ForeignDirectoryError{}, &backup.SourceError{}, &backup.MapError{},
		&restore.TargetError{Problem: restore.NotEmpty}, &restore.TargetError{Problem: restore.ServerRunning},
		&restore.SpaceError{}, &repo.WALError{}, &restore.ReachError{},
	} {
		if hintFor(fmt.Errorf("outer: %w", err)) == "" {
			t.Errorf("%T: no hint", err)
		}
	}
	if h := hintFor(errors.New("x")); h != "" {
		t.Errorf("hint for nothing known: %s", h)
	}
	if h := hintFor(errors.Join(context.Canceled, repo.ErrUnreachable)); h != "" {
		t.Errorf("hint for an interruption: %s", h)
	}
}
