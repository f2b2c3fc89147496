package datadiff

import (
	"os"
	"path/filepath"

	"github.com/cespare/xxhash/v2"

	"github.com/pgincr/pgincr/pkg/pg"
)

// Control reads what a data directory says of itself.
func Control(dir string) (pg.Control, error) {
	b, err := os.ReadFile(filepath.Join(dir, "global/pg_control"))
	if err != nil {
		return pg.Control{}, err
	}
	return pg.ParseControl(b)
}

// Hashes gives the hash of every file that Compare would compare.
func Hashes(dir string) (map[string]uint64, error) {
	control, err := Control(dir)
	if err != nil {
		return nil, err
	}
	files, err := list(dir, control)
	if err != nil {
		return nil, err
	}
	out := map[string]uint64{}
	for path, e := range files {
		if e.dir {
			continue
		}
		b, err := os.ReadFile(e.place)
		if err != nil {
			return nil, err
		}
		out[path] = xxhash.Sum64(b)
	}
	return out, nil
}
