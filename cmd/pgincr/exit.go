package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/alecthomas/kong"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
	"github.com/pgincr/pgincr/pkg/server"
)

// The exit codes are an interface: crontabs, units and runbooks branch on them.
const (
	exitDone        = 0
	exitFailed      = 1 // nothing was lost
	exitUsage       = 2 // command line, environment or configuration file
	exitFindings    = 3 // done, with findings
	exitLocked      = 4 // another pgincr holds the lock
	exitUnreachable = 5 // the repository cannot be reached
)

// Those of archive-get. PostgreSQL takes 1 to 125 for "there is no such file", which ends
// archive recovery, and stops recovery for anything above (xlogarchive.c, RestoreArchivedFile).
const (
	exitNotArchived  = 1
	exitArchiveError = 200
)

// errInternal stands for a panic: a bug of pgincr.
var errInternal = errors.New("internal error")

// errNotArchived is the answer of archive-get that the archive certainly lacks the file.
var errNotArchived = errors.New("not in the archive")

// exitCode maps what a command returned. recovery: the command is archive-get.
func exitCode(err error, recovery bool) int {
	var status *statusError
	var parts *partsError
	var usage *usageError
	var findings *findingsError
	var connect *server.ConnectError
	var option *restore.OptionError
	var key *repo.KeyError
	var database *restore.DatabaseError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		return status.code
	case recovery && errors.Is(err, errNotArchived):
		return exitNotArchived
	case recovery:
		return exitArchiveError
	case errors.As(err, &parts):
		return parts.code()
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &connect) && connect.Cause == server.BadSettings:
		return exitUsage
	case errors.As(err, &option), errors.As(err, &key), errors.As(err, &database):
		return exitUsage
	case errors.As(err, &findings):
		return exitFindings
	case errors.Is(err, context.Canceled):
		return exitFailed // whatever the interruption made of locks and stores
	case errors.Is(err, repo.ErrLocked):
		return exitLocked
	case errors.Is(err, repo.ErrUnreachable):
		return exitUnreachable
	default:
		return exitFailed
	}
}

// statusError ends the program with a code of its own; everything was said on stdout.
type statusError struct{ code int }

func (e *statusError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

// usageError is a mistake in the command line, the environment or the configuration file.
type usageError struct {
	err     error
	command string // where help is to be found: "pgincr backup"
	hint    string // "": see the help
}

func (e *usageError) Error() string { return e.err.Error() }

func (e *usageError) Unwrap() error { return e.err }

// usageFrom makes what kong reports a usage error.
func usageFrom(err error) error {
	var usage *usageError
	if errors.As(err, &usage) {
		return usage
	}
	usage = &usageError{err: err, command: "pgincr"}
	var parse *kong.ParseError
	if errors.As(err, &parse) {
		usage.err = parse.Unwrap()
		if parse.Context != nil && parse.Context.Selected() != nil {
			usage.command = parse.Context.Selected().FullPath()
		}
	}
	return usage
}

// findingsError says that the command did its work and found something that somebody must look at.
type findingsError struct{ text string }

func (e *findingsError) Error() string { return e.text }

func findings(format string, args ...any) error {
	return &findingsError{fmt.Sprintf(format, args...)}
}
