package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/pgincr/pgincr/pkg/backup"
	"github.com/pgincr/pgincr/pkg/drill"
	"github.com/pgincr/pgincr/pkg/keys"
	"github.com/pgincr/pgincr/pkg/mount"
	"github.com/pgincr/pgincr/pkg/receive"
	"github.com/pgincr/pgincr/pkg/remote"
	"github.com/pgincr/pgincr/pkg/repo"
	"github.com/pgincr/pgincr/pkg/restore"
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
	var noPostgres *missingPostgresError
	if errors.As(err, &noPostgres) {
		return "install the server with its client programs (apt-get install postgresql), " +
			"or name their directory with --bindir"
	}
	var unavailable *mount.UnavailableError
	if errors.As(err, &unavailable) {
		return "mounting needs Linux with /dev/fuse, and root or fusermount3 (apt-get install fuse3)"
	}
	for _, hint := range []func(error) string{drillHint, receiveHint, serverHint, backupHint, restoreHint, repoHint} {
		if h := hint(err); h != "" {
			return h
		}
	}
	return ""
}

// drillHint covers what keeps a drill from coming to its checks.
func drillHint(err error) string {
	var scratch *drill.ScratchError
	var recovery *drill.RecoveryError
	var role *drill.RoleError
	switch {
	case errors.As(err, &scratch):
		return "choose an empty directory, or one that is not there yet"
	case errors.As(err, &recovery) && recovery.Late:
		return "give it more time with --timeout, or take backups more often: less WAL is to be replayed then"
	case errors.As(err, &recovery):
		return "--keep leaves the data directory and server.log to look at; --set NAME=VALUE gives the server a setting"
	case errors.As(err, &role):
		return "name a superuser of the cluster with --role"
	}
	return ""
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

// receiveHint covers what keeps WAL from being received.
func receiveHint(err error) string {
	var slot *server.SlotError
	var start *server.StartError
	var line *receive.LineError
	switch {
	case errors.As(err, &slot) && slot.Missing:
		return "name another with --slot, or have it made with --create-slot"
	case errors.As(err, &start) && start.Removed:
		return "store it with pgincr archive-push if somebody has it; otherwise go on with --after-gap and take a backup"
	case errors.As(err, &line):
		return "a server that was set back or split off needs a cluster of its own in the repository: --cluster NAME"
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
	var absent *missingBackupError
	var other *repo.SystemIdentifierError
	var archived *archivedError
	var key *repo.KeyError
	var service *remote.Error
	var lost *remote.LostLockError
	switch {
	case errors.As(err, &key):
		return keyHint(key)
	case errors.As(err, &service):
		return serviceHint(service)
	case errors.As(err, &lost):
		return "pgincr verify tells whether all is well; then run it again where it did not finish"
	case errors.As(err, &archived):
		return "two servers archive into this cluster, or one was set back: give each its own --cluster"
	case errors.As(err, &missing):
		return "create it with pgincr init, or name another with --cluster"
	case errors.As(err, &absent):
		return "pgincr list shows those there are"
	case errors.As(err, &other):
		return "this is another PostgreSQL cluster: give it a --cluster name of its own"
	case errors.Is(err, repo.ErrLocked):
		return "wait until it has finished; the lock ends with its process, two minutes later if it died without a word " +
			"and the repository is no directory"
	case errors.Is(err, repo.ErrNewer):
		return "use a pgincr at least as new as the one that wrote it"
	case errors.Is(err, repo.ErrCorrupt):
		return "pgincr verify tells which backups are still whole"
	case errors.Is(err, repo.ErrUnreachable):
		return "is it mounted, its path right, and readable for this user? pgincr init makes a new one"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return "make room and run it again; what was written has been removed"
	case errors.Is(err, fs.ErrPermission):
		return "run pgincr as the user that owns the cluster's files, usually postgres"
	}
	return ""
}

// serviceHint covers repositories that are reached over a network.
func serviceHint(e *remote.Error) string {
	switch e.Cause {
	case remote.Unreachable:
		return "is the address in --repo right, and the network between here and there up?"
	case remote.NoSpace:
		return "create it with the provider's own tools, or correct the name in --repo"
	case remote.NoCredentials:
		return "docs/storage.md says where they are looked for; never in --repo"
	case remote.Credentials:
		return "are they those of this service, and is this host's clock right?"
	case remote.Denied:
		return "docs/storage.md lists the rights that are needed"
	case remote.Untrusted:
		return "SSL_CERT_FILE names the certificates of an own authority"
	case remote.Unfit:
		return "docs/storage.md says what a service must be able to do; choose another, or a newer release of it"
	case remote.Refused:
	}
	return ""
}

// keyHint covers keys that are missing, wrong or too weak.
func keyHint(e *repo.KeyError) string {
	switch {
	case errors.Is(e, keys.ErrNoKey):
		return "name the private key with --identity, or give the passphrase with --passphrase-file, " +
			"--passphrase-command or " + passphraseVariable
	case errors.Is(e, keys.ErrWrongKey):
		return "pgincr key list, run with a key that fits, shows the public keys of those that do"
	case errors.Is(e, keys.ErrNotPermitted):
		return "run it where a key of scope all is at hand, and name that with --identity"
	case errors.Is(e, repo.ErrNotEncrypted):
		return "a new cluster is encrypted by pgincr init with --recipient or --encrypt-passphrase; one that is not needs " +
			"no key, and if it was encrypted before, somebody has replaced its entry"
	}
	return ""
}

// backupHint covers what keeps a backup from being taken, and data directories that are none.
func backupHint(err error) string {
	var foreign *backup.ForeignDirectoryError
	var source *backup.SourceError
	var mapped *backup.MapError
	var noData *notDataDirectoryError
	var geometry *backup.GeometryError
	switch {
	case errors.As(err, &geometry):
		return "its sizes were changed: make another entry for it, pgincr init --cluster NAME"
	case errors.As(err, &noData):
		return "-D is the data directory of the cluster, on this host: what SHOW data_directory says"
	case errors.As(err, &foreign):
		return "-D must be what SHOW data_directory says on the server that -h and -p name, on this host"
	case errors.As(err, &source):
		return "--page-map auto takes a source that is complete, and says which and why"
	case errors.As(err, &mapped):
		return "this is a bug of pgincr, please report it; --page-map lsn does without the map"
	}
	return ""
}

// restoreHint covers what keeps a restore from being done.
func restoreHint(err error) string {
	var target *restore.TargetError
	var space *restore.SpaceError
	var wal *repo.WALError
	var line *restore.LineError
	var reach *restore.ReachError
	var unarchived *restore.UnarchivedError
	switch {
	case errors.As(err, &target):
		return targetHint(target)
	case errors.As(err, &space):
		return "make room, or choose other places with -D, -T and --waldir"
	case errors.As(err, &wal):
		return "a file that turns up again can still be stored with pgincr archive-push; otherwise restore an older backup"
	case errors.As(err, &line):
		return "restore a backup of before the other server began to archive there, or one that carries its WAL"
	case errors.As(err, &unarchived):
		return "store them first with pgincr archive-push, or give them up with --discard-wal"
	case errors.As(err, &reach):
		return "name another backup, or leave the choice to pgincr; pgincr list shows where each begins"
	}
	return ""
}

func targetHint(e *restore.TargetError) string {
	switch e.Problem {
	case restore.NotEmpty:
		return "choose an empty directory, or rewrite this one in place with --delta"
	case restore.HalfRestored:
		return "empty it, or complete it with --delta"
	case restore.ServerRunning:
		return "stop the server first, or choose another directory"
	case restore.NotData:
		return "--delta is for a data directory; restore without it into an empty directory"
	case restore.Overlaps:
		return "give each tablespace a directory of its own with -T OLD=NEW"
	case restore.FileDiffers:
		return "move it away, or choose another directory with --config-to"
	case restore.RootAnywhere:
		return "run it as the server's user, or name a directory with --config-to, look at what is there, and copy it"
	case restore.UnknownSpace:
		return "pgincr show lists the tablespaces of a backup"
	case restore.NotDirectory, restore.NotAbsolute, restore.RestoreRunning, restore.OtherCluster:
	}
	return ""
}
