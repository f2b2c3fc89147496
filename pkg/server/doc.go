// Package server is what a running PostgreSQL can tell and do: its identity and
// settings, backup mode, holding WAL, names. It is the only importer of pgx and
// reads nothing from the data directory.
//
// A Server is one session, because the server ends backup mode and drops
// temporary slots with the session that asked for them. Nothing here retries:
// a lost session is a lost backup.
//
// Reading order: config.go, server.go, info.go, backup.go, hold.go, position.go, names.go, errors.go.
package server
