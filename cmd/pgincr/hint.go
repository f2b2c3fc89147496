package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/server"
)

// hintFor gives the remedy for an error, if there is one that can be told in a line.
func hintFor(err error) string {
	var usage *usageError
	if errors.As(err, &usage) {
		if usage.hint == "" && usage.command != "" {
			return fmt.Sprintf("run \"%s --help\"", usage.command)
		}
		return usage.hint
	}
	if errors.Is(err, context.Canceled) {
		return "" // somebody wanted it
	}
	if h := serverHint(err); h != "" {
		return h
	}
	return repoHint(err)
}

// serverHint covers what a server refuses.
func serverHint(err error) string {
	var connect *server.ConnectError
	var version *server.VersionError
	var level *server.WALLevelError
	var lacks *server.PrivilegeError
	var promoted *server.PromotedError
	var query *server.QueryError
	switch {
	case errors.As(err, &connect):
		return connectHint(connect)
	case errors.As(err, &version) && version.Version > server.NewestMajor*10000:
		return "a newer pgincr may support it"
	case errors.As(err, &level):
		return "set wal_level = replica in postgresql.conf and restart the server"
	case errors.As(err, &lacks) && lacks.Database != "":
		return fmt.Sprintf("as a superuser, in database %s: %s", lacks.Database, lacks.Grant)
	case errors.As(err, &lacks):
		return "as a superuser: " + lacks.Grant
	case errors.As(err, &promoted):
		return "nothing was stored; take the backup again"
	case errors.As(err, &query):
		return query.Hint // the server's own
	}
	return ""
}

func connectHint(e *server.ConnectError) string {
	switch e.Cause {
	case server.Unreachable:
		return "is the server running? its address is set by -h and -p, PGHOST and PGPORT, or a service file"
	case server.Authentication:
		return "choose the role with -U or PGUSER, give its password in ~/.pgpass, and see pg_hba.conf"
	case server.Starting:
		return "try again when the server takes connections"
	case server.Refused, server.BadSettings:
	}
	return ""
}

// repoHint covers repositories and directories.
func repoHint(err error) string {
	var missing *missingClusterError
	var other *repo.SystemIdentifierError
	var archived *archivedError
	switch {
	case errors.As(err, &archived):
		return "two servers archive into this cluster, or one was set back: give each its own --cluster"
	case errors.As(err, &missing):
		return "create it with pgincr init, or name another with --cluster"
	case errors.As(err, &other):
		return "this is another PostgreSQL cluster: give it a --cluster name of its own"
	case errors.Is(err, repo.ErrLocked):
		return "wait until it has finished; the lock ends with its process"
	case errors.Is(err, repo.ErrNewer):
		return "use a pgincr at least as new as the one that wrote it"
	case errors.Is(err, repo.ErrCorrupt):
		return "pgincr verify tells which backups are still whole"
	case errors.Is(err, repo.ErrUnreachable):
		return "is the repository mounted, its path right, and readable for this user?"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room and run it again; what was written has been removed"
	case errors.Is(err, fs.ErrPermission):
		return "run pgincr as the user that owns the cluster's files, usually postgres"
	}
	return ""
}
