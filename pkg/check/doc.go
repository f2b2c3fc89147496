// Package check looks whether everything is set up so that a restore will work: the repository and its
// backups, the WAL between them, drills, and the server with its archiver. Each check has a name, a
// verdict in one line and, where it is not ok, a remedy.
//
// Nothing is read but names and small documents, and nothing is changed: a lock shows that
// the repository can be written to, and a WAL segment is ended where Options ask for that.
//
// Reading order: finding.go, repository.go, backups.go, wal.go, server.go, archiver.go.
package check
