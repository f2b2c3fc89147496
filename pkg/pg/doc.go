// Package pg holds PostgreSQL's vocabulary and on-disk structures: positions,
// timelines, relation files, pages, pg_control, backup_label and history files,
// as servers 13 to 18 write them on little-endian machines.
//
// The package is pure: it parses and formats bytes that others read and write.
// Nothing in it trusts its input; every parser is fuzzed.
//
// Reading order: lsn.go, relation.go, path.go, walname.go, history.go, page.go, control.go.
package pg
