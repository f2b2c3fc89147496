// Package datadiff compares a data directory that was restored, and not yet
// started, with the one it was backed up from: every file must be there, none
// that the source lacks, and every byte must be the same, except for what
// PostgreSQL itself calls hints.
//
// It shares no code with the packages that take and restore backups, but for
// names of files and the layout of a page: it is what they are judged by.
//
// # What may differ
//
// Contents of directories that a server fills anew, files that name the running
// server or this restore, relations that recovery resets, temporary ones. Pages whose LSN in the
// source lies behind the backup's start: WAL brings their changes back. And on
// pages with the same LSN, the hints of hints.go, which a server sets without WAL, and
// may lose.
//
// Memory: two files of a relation at a time.
//
// Reading order: compare.go, tree.go, hints.go.
package datadiff
