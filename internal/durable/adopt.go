package durable

import (
	"os"
	"path/filepath"
)

// Rename gives the file at from the name to within one directory or file system, replacing what has it. Neither name is
// durable afterwards.
func Rename(from, to string) error { return os.Rename(from, to) }

// Adopt gives a whole and durable file a place elsewhere on its file system, replacing what is there.
// The commit point is the rename; after it the directory of the new name is synced.
func Adopt(from, to string) error {
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(to))
}
