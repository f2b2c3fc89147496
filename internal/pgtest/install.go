package pgtest

import (
	"fmt"
	"os"
	"path/filepath"
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

// String names the install as subtests do: pg17.
func (i Install) String() string { return fmt.Sprintf("pg%d", i.Major) }
