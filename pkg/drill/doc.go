// Package drill rehearses a restore: it restores a backup to a scratch place, lets PostgreSQL recover
// there, has the result checked, measures it all, and removes what it made.
//
// The server of a drill harms nobody. It reads nothing of the configuration that came with the backup
// but what recovery needs; it listens on a Unix socket only, which nobody else may
// use, archives nothing, subscribes to nothing and runs no background worker of an extension. It is a
// child of this process and ends before what it runs on is removed.
//
// The commit point of a drill is the appearance of its result in the repository, after the
// cleanup. One that somebody interrupts leaves none; one that is killed leaves its directory and its server, which
// the next drill of the same user removes.
//
// Reading order: options.go, run.go, scratch.go, leftover.go, settings.go, server.go, log.go, reached.go, checks.go.
package drill
