// Package server is what a running PostgreSQL can tell and do: its identity and
// settings, backup mode, holding WAL. It is the only importer of pgx and
// reads nothing from the data directory.
package server
