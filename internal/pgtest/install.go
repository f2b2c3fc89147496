package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Install is one major version of PostgreSQL on this machine.
type Install struct {
	Major  int
	BinDir string
}

// Tool returns the path of one of PostgreSQL's programs and whether this
// install has it: 14 and 16 come without pg_waldump, pg_resetwal and pg_rewind,
// and pg_amcheck began with 14.
func (i Install) Tool(name string) (path string, ok bool) {
	path = filepath.Join(i.BinDir, name)
	info, err := os.Stat(path)
	return path, err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// Headers returns the directories of what modules for the server are compiled with, in the order to be searched, and
// whether they are there: install.sh has them for 15, 17 and 18.
func (i Install) Headers() (dirs []string, ok bool) {
	for _, root := range searchPath() {
		dir := filepath.Join(root, "headers", strconv.Itoa(i.Major))
		server := filepath.Join(dir, "server")
		if _, err := os.Stat(filepath.Join(server, "postgres.h")); err == nil {
			return []string{server, dir}, true
		}
	}
	return nil, false
}

// String names the install as subtests do: pg17.
func (i Install) String() string { return fmt.Sprintf("pg%d", i.Major) }
